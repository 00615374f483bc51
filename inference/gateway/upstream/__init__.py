"""A small HTTP/1.1 client for one server that is near: the models process."""
