"""Answers of the API made ready to be drawn: pure functions, no Streamlit."""
