"""The hub: takes what nodes publish, stores it, answers for it over HTTP and on the command line."""
