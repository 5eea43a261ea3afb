"""What the command line can do, one module a command; each is imported only when it is asked for."""
