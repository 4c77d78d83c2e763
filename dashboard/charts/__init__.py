"""Plotly figures from prepared data: pure functions, no Streamlit, no requests."""
