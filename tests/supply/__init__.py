"""What is checked of where the bridge comes from and how it gets to its users, rather than of what it does."""
