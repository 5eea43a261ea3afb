"""As much of a Kubernetes API server as Helm asks for, in memory: objects are kept as they come, nothing acts on them.

Where no node can be had it shows that a release can be installed, changed, taken back and removed. Helm 3.18 and 4.1
were watched for what they ask; whatever else is asked is a 404.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

__all__ = ["Objects", "served"]

_KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"statefulsets": "StatefulSet"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "monitoring.coreos.com/v1": {
        "podmonitors": "PodMonitor",
        "prometheusrules": "PrometheusRule",
        "servicemonitors": "ServiceMonitor",
    },
}
_VERBS = ["create", "delete", "get", "list", "patch", "update"]
_PROTOBUF = b"k8s\0"

Objects = dict[str, dict[str, Any]]
"""Every object by its path."""


@contextmanager
def served(folder: Path) -> Iterator[tuple[Path, Objects]]:
    """Serve on a free port; give the file that KUBECONFIG is to name, and the objects as they are."""
    objects: Objects = {}

    class Handler(_Handler):
        kept = objects

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="kubernetes-api", daemon=True)
        thread.start()
        config = folder / "kubeconfig"
        config.write_text(json.dumps(_kubeconfig(server.server_port)), encoding="utf-8")
        try:
            yield config, objects
        finally:
            server.shutdown()
            thread.join(10)


def _kubeconfig(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "memory",
        "clusters": [{"name": "memory", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "memory", "context": {"cluster": "memory", "user": "memory"}}],
        "users": [{"name": "memory", "user": {}}],
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: Objects

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path = address.path
        if (known := _discovered(path)) is not None:
            self._answer(known)
        elif path in self.kept:
            self._answer(self.kept[path])
        elif path.endswith("/secrets"):  # Helm's own records, the only ones that it lists
            (selector,) = parse_qs(address.query)["labelSelector"]
            wanted = dict(item.split("=") for item in selector.split(","))
            found = [item for at, item in self.kept.items() if at.startswith(f"{path}/")]
            items = [item for item in found if wanted.items() <= item["metadata"].get("labels", {}).items()]
            self._answer({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": items})
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        made = self._body()
        path = f"{urlsplit(self.path).path}/{made['metadata']['name']}"
        if path in self.kept:
            self._refuse(HTTPStatus.CONFLICT)
        else:
            self._keep(path, made, HTTPStatus.CREATED)

    def do_PUT(self) -> None:
        self._keep(urlsplit(self.path).path, self._body())

    def do_PATCH(self) -> None:
        path, patch = urlsplit(self.path).path, self._body()
        if "apply-patch" in self.headers["Content-Type"]:
            self._keep(path, patch)
        elif path in self.kept:
            self._keep(path, _patched(self.kept[path], patch))
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_DELETE(self) -> None:
        self._body()
        found = self.kept.pop(urlsplit(self.path).path, None)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._answer(found)

    def _keep(self, path: str, given: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        if path in self.kept and _claims(self.kept[path]) != _claims(given):
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY)
            return
        version = int(self.kept.get(path, {}).get("metadata", {}).get("resourceVersion", 0)) + 1
        given["metadata"] |= {"resourceVersion": str(version), "uid": path}
        self.kept[path] = given
        self._answer(given, status)

    def _body(self) -> dict[str, Any]:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if data.startswith(_PROTOBUF):
            return _secret(data.removeprefix(_PROTOBUF))
        found: dict[str, Any] = yaml.safe_load(data) or {}
        return found

    def _refuse(self, status: HTTPStatus) -> None:
        reason = status.phrase.title().replace(" ", "").replace("Conflict", "AlreadyExists")
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status.value}
        self._answer(said | {"message": f"{self.path}: {status.phrase.lower()}"}, status)

    def _answer(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _claims(found: Mapping[str, Any]) -> object:
    """Give what cannot be changed of a StatefulSet."""
    return found["kind"] == "StatefulSet" and found["spec"].get("volumeClaimTemplates")


def _discovered(path: str) -> dict[str, Any] | None:
    """Give what clients ask first: the version, the groups, the kinds of each."""
    if path == "/version":
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [version.split("/") for version in _KINDS if "/" in version]
        versions = [{"groupVersion": "/".join(each), "version": each[1]} for each in groups]
        named = [
            {"name": each[0], "versions": [v], "preferredVersion": v} for each, v in zip(groups, versions, strict=True)
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
    version = path.removeprefix("/apis/") if path.startswith("/apis/") else path.removeprefix("/api/")
    if version not in _KINDS:
        return None
    kinds = [
        {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": _VERBS}
        for plural, kind in _KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": kinds}


def _patched(found: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a patch as Kubernetes does with what our chart has: maps, lists by the names in them, other lists whole."""
    merged = dict(found)
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _patched(merged.get(name, {}), value)
        elif isinstance(value, list) and all("name" in item for item in value):
            named = {item["name"]: item for item in merged.get(name, [])}
            for item in value:
                named[item["name"]] = _patched(named.get(item["name"], {}), item)
            gone = {item["name"] for item in value if item.get("$patch") == "delete"}
            merged[name] = [item for each, item in named.items() if each not in gone]
        else:
            merged[name] = value
    return merged


def _secret(data: bytes) -> dict[str, Any]:
    """Read the Secret in which Helm keeps a release, as protobuf (`k8s.io/api/core/v1`); all else is empty."""
    wrapped = dict(_fields(data))
    kind = dict(_fields(wrapped[1]))[2].decode()
    if kind != "Secret":
        return {}
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {"labels": {}}, "data": {}}
    for number, value in _fields(wrapped[2]):
        if number == 1:
            for part, content in _fields(value):
                if part == 1:
                    secret["metadata"]["name"] = content.decode()
                elif part == 3:
                    secret["metadata"]["namespace"] = content.decode()
                elif part == 11:
                    label = dict(_fields(content))
                    secret["metadata"]["labels"][label[1].decode()] = label[2].decode()
        elif number == 2:
            entry = dict(_fields(value))
            secret["data"][entry[1].decode()] = b64encode(entry[2]).decode()
        elif number == 3:
            secret["type"] = value.decode()
    return secret


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field that has a length; numbers are skipped."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        size, at = _varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
