"""The chart on a real Kubernetes node, with the real hub, Kafka and Mosquitto beside it on the host."""
