"""As much of an API server as Helm needs to install, upgrade and uninstall: it stores objects and names its kinds.

Nothing runs in it, so a release with hooks would wait for ever. What it is for: `lookup`, `keep`, and what upgrades
change, which no rendering without a cluster can show.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from . import protobuf

# Plurals by group and version, with their kinds.
KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "namespaces": "Namespace",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job"},
    "networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
MONITORING = {"monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor"}}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Cluster:
    """A server on a free port of this machine. Use it as a context."""

    def __init__(self, more_kinds: dict | None = None):
        self.kinds = {**KINDS, **(more_kinds or {})}
        self.stored: dict[str, dict] = {}
        self.asked: list[str] = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"cluster": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Cluster:
        self.thread.start()
        return self

    def __exit__(self, *_: object):
        self.server.shutdown()
        self.server.server_close()

    @property
    def options(self) -> list[str]:
        """What leads Helm here."""
        return ["--kube-apiserver", f"http://127.0.0.1:{self.server.server_port}"]

    def of_kind(self, kind: str) -> dict[str, dict]:
        """The objects of a kind by name, without what Helm stores for itself."""
        own = (item for item in self.stored.values() if item["kind"] == kind)
        return {item["metadata"]["name"]: item for item in own if not item.get("type", "").startswith("helm.sh/")}

    def names(self) -> set[str]:
        return {
            f"{kind}/{name}" for kinds in self.kinds.values() for kind in kinds.values() for name in self.of_kind(kind)
        }

    def discovery(self, path: str) -> dict | None:
        if path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [version.split("/") for version in self.kinds if "/" in version]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*names) for names in groups]}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version not in self.kinds:
            return None
        resources = [
            {"name": plural, "kind": kind, "namespaced": plural != "namespaces", "verbs": VERBS}
            for plural, kind in self.kinds[version].items()
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def _group(name: str, version: str) -> dict:
    known = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [known], "preferredVersion": known}


def _merge(into: dict, patch: dict) -> dict:
    """A merge patch. Lists are replaced, which is enough for who only looks at what was written last."""
    merged = dict(into)
    for key, value in patch.items():
        if value is None or key.startswith("$"):
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"
    # Head and body of an answer in one packet. In two, each request takes 40 ms longer.
    wbufsize = -1

    def log_message(self, *_: object):
        pass

    def answer(self, status: int, body: dict):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def failure(self, status: int, reason: str):
        self.answer(
            status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        )

    def sent(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def body(self) -> dict:
        data = self.sent()
        return protobuf.secret(data) if data.startswith(protobuf.MAGIC) else json.loads(data)

    def handle_one(self, method: str):
        url = urlsplit(self.path)
        with self.cluster.lock:
            self.cluster.asked.append(f"{method} {url.path}")
            getattr(self, f"on_{method.lower()}")(url.path, parse_qs(url.query))

    def on_get(self, path: str, query: dict):
        if found := self.cluster.discovery(path) or self.cluster.stored.get(path):
            return self.answer(200, found)
        kinds = {plural: kind for of_version in self.cluster.kinds.values() for plural, kind in of_version.items()}
        kind = kinds.get(path.rsplit("/", 1)[-1])
        if kind is None:
            return self.failure(404, "NotFound")
        wanted = [pair.split("=") for pair in query.get("labelSelector", [""])[0].split(",") if "=" in pair]
        items = [item for at, item in self.cluster.stored.items() if at.startswith(path + "/")]
        items = [i for i in items if all(i["metadata"].get("labels", {}).get(key) == value for key, value in wanted)]
        return self.answer(200, {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}, "items": items})

    def on_post(self, path: str, _: dict):
        item = self.body()
        at = f"{path}/{item['metadata']['name']}"
        if at in self.cluster.stored:
            return self.failure(409, "AlreadyExists")
        self.cluster.stored[at] = item
        return self.answer(201, item)

    def on_put(self, path: str, _: dict):
        self.cluster.stored[path] = self.body()
        return self.answer(200, self.cluster.stored[path])

    def on_patch(self, path: str, _: dict):
        item, applied = self.body(), "apply-patch" in self.headers["Content-Type"]
        if not applied and path not in self.cluster.stored:
            return self.failure(404, "NotFound")
        self.cluster.stored[path] = item if applied else _merge(self.cluster.stored[path], item)
        return self.answer(200, self.cluster.stored[path])

    def on_delete(self, path: str, _: dict):
        self.sent()
        if self.cluster.stored.pop(path, None) is None:
            return self.failure(404, "NotFound")
        return self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def do_PUT(self):
        self.handle_one("PUT")

    def do_PATCH(self):
        self.handle_one("PATCH")

    def do_DELETE(self):
        self.handle_one("DELETE")
