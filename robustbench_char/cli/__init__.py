"""The command line: one file a sub-command. Imports of other rooms stand inside the commands, so that help is quick."""
