"""What hits cost with Holdover, with its peers and at the least, each in a process."""
