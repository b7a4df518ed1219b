"""The Textual app: shows and asks; decides nothing."""
