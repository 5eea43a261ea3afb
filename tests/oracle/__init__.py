"""What really happened, told by parts that share no code with the bridge: consumers, a subscriber, a judge."""
