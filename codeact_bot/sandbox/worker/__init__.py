"""The program inside a sandbox: a supervisor that speaks the protocol, and a child forked from it that runs the code.

Standard library only, Python 3.9 syntax: `bootstrap` packs these modules into one `python -c`, so that any image with Python will do.
Nothing outside trusts what they send.
"""
