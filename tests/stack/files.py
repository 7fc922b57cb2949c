#!/usr/bin/env python3
"""Holds the compose files and what they mount against what docs/deploiement.md promises. Needs a Docker client, no engine.

    tests/stack/files.py          needs PyYAML
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).parents[2]
SECRETS = {
    "database_url", "backend_postgres_password", "authentik_postgresql_password", "authentik_secret_key", "matomo_database_password",
    "matomo_mysql_root_password", "s3_access_key", "s3_secret_key", "stripe_secret_key", "stripe_webhook_secret",
}
DOCUMENTED_PORTS = {80, 8081, 9000, 8090, 3002}
REPLICATED = {"frontend", "backend", "messaging"}
STATELESS = REPLICATED | {"traefik", "socket-proxy", "cloudflared"}
# Tagged by the version that is deployed, and by digest in CI.
OWN_IMAGES = ("freehunt-frontend", "freehunt-backend", "freehunt-messaging", "freehunt-backup")
problems = []


def client():
    """Older clients cannot print a merged configuration."""
    for program in dict.fromkeys([os.environ.get("DOCKER", "docker"), "docker", "/usr/local/bin/docker", "/usr/bin/docker"]):
        try:
            if "docker stack config" in subprocess.run([program, "stack", "config", "--help"], capture_output=True, text=True).stdout:
                return program
        except OSError:
            pass
    print("NOT RUN: no Docker client here knows `docker stack config`")
    sys.exit(0)


def expect(condition, sentence):
    if not condition:
        problems.append(sentence)


def config(*names, **variables):
    """The files as Swarm's own client merges and validates them."""
    command = [DOCKER, "stack", "config"]
    for name in names:
        command += ["-c", name]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"docker stack config {' '.join(names)}: {answer.stderr.strip()}")
    return yaml.safe_load(answer.stdout)


def published(stack):
    return {port["published"] for service in stack["services"].values() for port in service.get("ports", ())
            if port.get("protocol", "tcp") == "tcp"}


def production():
    stack = config("compose.yaml", "compose.prod.yaml")
    expect(set(stack.get("secrets", {})) == SECRETS, f"the secrets are {sorted(stack.get('secrets', {}))}")
    expect(published(stack) == DOCUMENTED_PORTS, f"the ports are {sorted(published(stack))}")
    for name, service in stack["services"].items():
        deploy = service["deploy"]
        image = service["image"]
        own = any(own in image for own in OWN_IMAGES)
        pinned = ":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest")
        expect(own or pinned, f"{name}: {image} is not pinned")
        expect(deploy["replicas"] == (3 if name in REPLICATED else 1), f"{name}: {deploy['replicas']} replicas")
        order = "start-first" if name in STATELESS else "stop-first"
        update = deploy["update_config"]
        expect(update["order"] == order and deploy["rollback_config"]["order"] == order, f"{name}: the order is not {order}")
        expect(update["parallelism"] == 1 and update["failure_action"] == "rollback", f"{name}: {update}")
        expect(update["delay"] == "10s" and update["max_failure_ratio"] == 0.3, f"{name}: {update}")
        expect(update["monitor"] in ("1m0s", "60s", "30s"), f"{name}: {update}")
        expect("restart_policy" in deploy and "limits" in deploy["resources"], f"{name}: no restart policy or limits")
        expect("healthcheck" in service, f"{name}: no health check")
        for ignored in ("container_name", "restart", "depends_on_condition"):
            expect(ignored not in service, f"{name}: {ignored} is ignored by Swarm")
        for secret in service.get("secrets", ()):
            expect(secret["source"] in SECRETS, f"{name}: {secret}")
        docker_socket = any("docker.sock" in str(volume.get("source", "")) for volume in service.get("volumes", ()))
        expect(docker_socket == (name == "socket-proxy"), f"{name}: the Docker socket")
        passwords = [key for key, value in service.get("environment", {}).items()
                     if re.search("PASSWORD|SECRET|_KEY$", key) and not key.endswith("_FILE") and not str(value).startswith("file://")]
        expect(not passwords, f"{name}: {passwords} in the environment")
        stateful = [volume for volume in service.get("volumes", ()) if volume["type"] == "volume"]
        if stateful:
            expect(deploy["placement"].get("constraints"), f"{name}: its volumes may be left behind on another machine")
    for name in REPLICATED:
        resources = stack["services"][name]["deploy"]["resources"]
        expect(str(resources["limits"]["memory"]) == "536870912" and str(resources["limits"]["cpus"]) == "0.5", f"{name}: {resources}")
        expect(str(resources["reservations"]["memory"]) == "268435456", f"{name}: {resources}")
    networks = {name: set(service["networks"]) for name, service in stack["services"].items()}
    for name in ("frontend", "matomo", "uptime-kuma"):
        expect(not networks[name] & {"data", "auth", "authdb", "control"}, f"{name}: {networks[name]}")
    expect({name for name, its in networks.items() if "data" in its} == {"backend", "messaging", "db", "db-backup"}, "data")
    expect(stack["networks"]["data"].get("internal"), "the data network has a way out")


def others():
    closed = config("compose.yaml", "compose.prod.yaml", "compose.closed.yaml")
    expect(published(closed) == {80}, f"closed: {published(closed)}")
    tunnel = config("compose.yaml", "compose.prod.yaml", "compose.closed.yaml", "compose.tunnel.yaml", TUNNEL_TOKEN="token")
    expect(published(tunnel) == set(), f"tunnel: {published(tunnel)}")
    redis = config("compose.yaml", "compose.prod.yaml", "compose.redis.yaml")
    urls = {name for name, service in redis["services"].items() if service.get("environment", {}).get("REDIS_URL") == "redis://chat-redis:6379"}
    expect(urls == {"backend", "messaging"}, f"redis: {urls}")
    expect(set(redis["services"]["chat-redis"]["networks"]) == {"data"} and published(redis) == DOCUMENTED_PORTS, "redis: who can reach it")
    expect(set(redis["secrets"]) == SECRETS, "redis: another secret")
    host = config("compose.yaml", "compose.prod.yaml", "compose.host.yaml")
    modes = {port.get("mode") for port in host["services"].get("traefik", {}).get("ports", ()) if port["published"] == 80}
    expect(modes == {"host"}, f"host: {modes}")
    development = config("compose.yaml", "compose.dev.yaml")
    expect({"adminer", "minio", "minio-bucket", "stripe-cli"} <= set(development["services"]), "development lacks services")
    expect("secrets" not in development or not development["secrets"], "development asks for Swarm secrets")
    text = (ROOT / "compose.dev.yaml").read_text() + (ROOT / "compose.yaml").read_text()
    listed = set(re.findall(r"^#? ?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))
    expect(used <= listed, f".env.example lacks {sorted(used - listed)}")
    expect(config("compose.yaml", "compose.prod.yaml", "tests/stack/override.yaml", FREEHUNT_VERSION="v1")["services"], "the test's files")


def observability():
    """Every number that an alert or a panel asks for is one that a program counts."""
    sources = "\n".join(path.read_text() for path in (ROOT / "crates").glob("*/src/**/*.rs"))
    counted = set(re.findall(r'"(freehunt_[a-z_]+)"', sources))
    folder = ROOT / "docs/observability"
    alerts, dashboard = yaml.safe_load((folder / "alerts.yml").read_text()), json.loads((folder / "grafana-dashboard.json").read_text())
    yaml.safe_load((folder / "prometheus.yml").read_text())
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked = {re.sub("_(bucket|count|sum)$", "", name) for text in rules + panels for name in re.findall(r"freehunt_[a-z_]+", text)}
    expect(asked <= counted, f"nobody counts {sorted(asked - counted)}")
    expect(rules and panels, "no rules or no panels")


DOCKER = client()
production()
others()
observability()
for problem in problems:
    print("FAILED ", problem)
print(f"compose files, alerts and dashboard: {len(problems)} problems")
sys.exit(bool(problems))
