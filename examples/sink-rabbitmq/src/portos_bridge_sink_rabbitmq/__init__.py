"""A sink of portos-bridge: events as messages of a RabbitMQ exchange."""
