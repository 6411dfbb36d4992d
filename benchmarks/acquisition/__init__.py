"""Reading meters: each benchmark is paired with its limit or its peer in the same run."""
