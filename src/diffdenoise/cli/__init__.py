"""The command line: parse, call, print. No method code lives here."""
