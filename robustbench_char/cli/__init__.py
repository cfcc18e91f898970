"""The command line: declarations of commands. What does the work is imported when one runs, so that help is quick."""
