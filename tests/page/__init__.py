"""The status page in a browser: tests, and the pictures of it in the documentation."""
