"""The web page of the service: static files, for modules of a browser. Nothing here is Python."""
