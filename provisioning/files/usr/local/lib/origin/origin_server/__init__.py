"""What starts a release's WSGI server: brought to the host with its tools, copied into each release.

`python -m origin_server SPEC`, from the release's own virtual environment and in the app's folder. Each module but
spec, wsgi, hop, chunks, rate and websocket starts one server, from what the stack says, the app's own configuration
file, and this host's size.
"""
