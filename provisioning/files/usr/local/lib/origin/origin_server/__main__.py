import importlib
import sys

from origin_server import spec

given = spec.read(sys.argv[1])
importlib.import_module(f"origin_server.{given.server}").serve(given)
