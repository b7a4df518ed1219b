"""The command line: parse, open the Store, make one service call, print."""
