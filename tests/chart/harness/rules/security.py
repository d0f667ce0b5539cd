"""The restricted profile of Kubernetes' Pod Security Standards, as a rule, and a root that is read-only besides."""

from __future__ import annotations

from .. import objects as o
from .registry import Faults, rule

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROFILES = {"RuntimeDefault", "Localhost"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
}


@rule
def pods_are_restricted(items: list[dict]) -> Faults:
    """Every pod passes the restricted profile, and its root file systems are read-only."""
    for pod in o.pods(items):
        yield from (f"{pod.name}: {fault}" for fault in _pod(pod))
        for container in pod.containers():
            for fault in _container(container, pod.spec.get("securityContext", {})):
                yield f"{pod.name}, {container['name']}: {fault}"


def _pod(pod: o.Pods) -> Faults:
    context = pod.spec.get("securityContext", {})
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(name):
            yield name
    for volume in pod.spec.get("volumes", []):
        for kind in set(volume) - VOLUMES - {"name"}:
            yield f"a volume of kind {kind}"
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    if any(key.startswith("container.apparmor") for key in pod.metadata.get("annotations", {})):
        yield "AppArmor by annotation"


def _container(container: dict, of_pod: dict) -> Faults:
    own = container.get("securityContext", {})
    context = {**of_pod, **own}
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "privileges can grow"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"capabilities {capabilities}"
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0 or of_pod.get("runAsUser") == 0:
        yield "may be root"
    if context.get("seccompProfile", {}).get("type") not in PROFILES:
        yield "no seccomp profile"
    if own.get("procMount", "Default") != "Default" or "windowsOptions" in context or "seLinuxOptions" in context:
        yield "procMount, windowsOptions or seLinuxOptions"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in PROFILES:
        yield "AppArmor is off"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "the root can be written to"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "a port of the host"
    asks = [container.get(name, {}) for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    asks += container.get("lifecycle", {}).values()
    if any("host" in ask.get(way, {}) for ask in asks for way in ("httpGet", "tcpSocket")):
        yield "a probe of another host"
