"""Property values between the three places they live: the SDK's protobuf, the engine, the state file.

In the engine a value is plain JSON plus `Secret(…)`, `UNKNOWN`, and pulumi's assets and archives (which carry
their content's hash). Both other places use the signed maps that Pulumi uses itself, so one walk serves both; they
differ only in how a secret is sealed. Resource references and output values never arrive, since the monitor does
not say that it knows them: the SDK then sends ids and plain values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import struct_pb2
from pulumi import Archive, Asset, AssetArchive, FileArchive, FileAsset, StringAsset
from pulumi.runtime import rpc

from rehearsal.providers.base import UNKNOWN, Props, Unknown, content_hash

# The signatures by which Pulumi tells special maps from others (sdk/go/common/resource/sig).
SIGNATURE = rpc._special_sig_key
SECRET = rpc._special_secret_sig
ASSET = rpc._special_asset_sig
ARCHIVE = rpc._special_archive_sig

Seal = Callable[[Any], Any]  # of a secret's tree: the signed map's "value" or "ciphertext"


class Unsupported(Exception):
    """Something that only the real engine does."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the rehearsal's embedded engine does not support {what}; the real engine does")


class Secret:
    """A value that must not be shown or stored in plain text. No dataclass, lest asdict() unpacks it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.value == other.value

    def __repr__(self) -> str:
        return "[secret]"


def plain(value: Any) -> Any:
    """The value as providers see it: without its Secret wrappings."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_secret, value.values()))
    if isinstance(value, list):
        return any(map(has_secret, value))
    return isinstance(value, Secret)


def masked(value: Any) -> Any:
    """The value as people see it: JSON, with words in brackets for what can't be shown."""
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, Unknown):
        return "[unknown]"
    if isinstance(value, Asset | Archive):
        return f"[{type(value).__name__} {content_hash(value)[:12]}]"
    if isinstance(value, dict):
        return {name: masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def to_tree(value: Any, seal: Seal) -> Any:
    """JSON in which signed maps stand for what JSON has no word for."""
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, **seal(to_tree(plain(value), seal))}
    if isinstance(value, dict):
        return {name: to_tree(item, seal) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_tree(item, seal) for item in value]
    if isinstance(value, Unknown):
        return rpc.UNKNOWN
    if isinstance(value, Asset | Archive):
        kept = {key: item for key, item in vars(value).items() if key in ("path", "text", "assets")}
        signature = ASSET if isinstance(value, Asset) else ARCHIVE
        return {SIGNATURE: signature, "hash": content_hash(value), **to_tree(kept, seal)}
    return value


def from_tree(tree: Any, unseal: Seal) -> Any:
    """The reverse. Nulls in maps are dropped, as the SDK drops them at the top. Raises Unsupported, ApiError."""
    if isinstance(tree, dict):
        if SIGNATURE in tree:
            return _signed(tree, unseal)
        return {name: from_tree(tree[name], unseal) for name in tree if tree[name] is not None}
    if isinstance(tree, list):
        return [from_tree(item, unseal) for item in tree]
    if isinstance(tree, float) and tree.is_integer():
        return int(tree)
    return UNKNOWN if tree == rpc.UNKNOWN else tree


def _signed(tree: dict[str, Any], unseal: Seal) -> Any:
    match tree:
        case {rpc._special_sig_key: rpc._special_secret_sig}:
            return Secret(plain(from_tree(unseal(tree), unseal)))
        case {rpc._special_sig_key: rpc._special_asset_sig, "path": path}:
            asset = FileAsset(path)
        case {rpc._special_sig_key: rpc._special_asset_sig, "text": text}:
            asset = StringAsset(text)
        case {rpc._special_sig_key: rpc._special_archive_sig, "path": path}:
            asset = FileArchive(path)
        case {rpc._special_sig_key: rpc._special_archive_sig, "assets": assets}:
            asset = AssetArchive(from_tree(assets, unseal))
        # The official engine leaves contents out of what a provider only has to compare.
        case {rpc._special_sig_key: rpc._special_asset_sig, "hash": _} if "uri" not in tree:
            asset = FileAsset("")
        case {rpc._special_sig_key: rpc._special_archive_sig, "hash": _} if "uri" not in tree:
            asset = FileArchive("")
        case _:
            raise Unsupported(f"a property value with signature {tree[SIGNATURE]} (remote assets are one)")
    # Remembered now: by the next look the file may have changed.
    vars(asset)["hash"] = tree.get("hash") or content_hash(asset)
    return asset


def decode(struct: struct_pb2.Struct) -> Props:
    """What the SDK sent."""
    return from_tree(_unpacked(struct_pb2.Value(struct_value=struct)), lambda tree: tree["value"])


def decode_value(value: struct_pb2.Value) -> Any:
    return from_tree(_unpacked(value), lambda tree: tree["value"])


def encode(props: Props) -> struct_pb2.Struct:
    """What the SDK gets."""
    return _packed(to_tree(props, lambda tree: {"value": tree})).struct_value


def _unpacked(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            # Protobuf maps have no order of their own; sorting makes runs repeatable.
            fields = value.struct_value.fields
            return {name: _unpacked(fields[name]) for name in sorted(fields)}
        case "list_value":
            return [_unpacked(item) for item in value.list_value.values]
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)


def _packed(tree: Any) -> struct_pb2.Value:
    if tree is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(tree, bool):
        return struct_pb2.Value(bool_value=tree)
    if isinstance(tree, int | float):
        return struct_pb2.Value(number_value=tree)
    if isinstance(tree, str):
        return struct_pb2.Value(string_value=tree)
    if isinstance(tree, dict):
        fields = {name: _packed(item) for name, item in tree.items()}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_packed(item) for item in tree]))
