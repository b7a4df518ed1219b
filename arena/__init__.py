"""The league, its facts, its command line."""
