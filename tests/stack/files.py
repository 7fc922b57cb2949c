#!/usr/bin/env python3
"""Holds the compose files and what they mount against what docs/deploiement.md promises. Needs a Docker client, no engine.

    tests/stack/files.py                   needs PyYAML
    tests/stack/files.py metrics <file>    whether every number that an alert asks for is in what the programs serve
    STACK_REQUIRED=1 …                     a Docker client that cannot merge the files is a failure
"""

import itertools
import json
import os
import pathlib
import re
import shutil
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
REPLICAS = dict.fromkeys(REPLICATED, 3) | {"cloudflared": 2}
STATELESS = REPLICATED | {"traefik", "socket-proxy", "cloudflared"}
# Tagged by the version that is deployed, and by digest in CI.
OWN_IMAGES = ("freehunt-frontend", "freehunt-backend", "freehunt-messaging", "freehunt-backup")
# What the guide asks for: two cores, and what the kernel and the system leave of 4 GB.
CORES, MEMORY = 2.0, 3700 * 10**6
HOSTS = {"", "www.", "api.", "socket.", "authentik.", "matomo.", "uptime.", "traefik."}
OPTIONAL = ("compose.closed.yaml", "compose.setup.yaml", "compose.tunnel.yaml", "compose.host.yaml", "compose.redis.yaml")
# Of PostgreSQL: its own, the backup's, and an operator's commands.
OTHER_CONNECTIONS = 30
problems = []


def client():
    """Older clients cannot print a merged configuration."""
    for program in dict.fromkeys([os.environ.get("DOCKER", "docker"), "docker", "/usr/local/bin/docker", "/usr/bin/docker"]):
        try:
            if "docker stack config" in subprocess.run([program, "stack", "config", "--help"], capture_output=True, text=True).stdout:
                return program
        except OSError:
            pass
    print("NOT RUN: no Docker client here knows `docker stack config`, so the compose files are not looked at")
    expect(not os.environ.get("STACK_REQUIRED"), "the compose files were to be looked at: that needs a Docker client of 23.0 or later")
    for problem in problems:
        print("FAILED ", problem)
    sys.exit(bool(problems))


def expect(condition, sentence):
    if not condition and sentence not in problems:
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


def policies(stack, stopped_first=frozenset()):
    """What every service of a stack must have, whichever file it comes from."""
    for name, service in stack["services"].items():
        deploy = service["deploy"]
        image = service["image"]
        own = any(own in image for own in OWN_IMAGES)
        pinned = ":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest")
        expect(own or pinned, f"{name}: {image} is not pinned")
        expect(deploy["replicas"] == REPLICAS.get(name, 1), f"{name}: {deploy['replicas']} replicas")
        order = "start-first" if name in STATELESS - stopped_first else "stop-first"
        update = deploy["update_config"]
        expect(update["order"] == order and deploy["rollback_config"]["order"] == order, f"{name}: the order is not {order}")
        expect(update["parallelism"] == deploy["rollback_config"]["parallelism"] == 1 and update["failure_action"] == "rollback", f"{name}: {update}")
        expect(update.get("delay") == "10s" and update.get("max_failure_ratio") == 0.3, f"{name}: {update}")
        expect(update.get("monitor") in ("1m0s", "60s", "30s"), f"{name}: {update}")
        expect(deploy["rollback_config"].get("monitor") == "30s", f"{name}: {deploy['rollback_config']}")
        expect("restart_policy" in deploy and "limits" in deploy["resources"], f"{name}: no restart policy or limits")
        expect("healthcheck" in service, f"{name}: no health check")
        expect(service.get("logging", {}).get("options", {}).keys() >= {"max-size", "max-file"}, f"{name}: its logs have no limit")
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


def production():
    stack = config("compose.yaml", "compose.prod.yaml")
    expect(set(stack.get("secrets", {})) == SECRETS, f"the secrets are {sorted(stack.get('secrets', {}))}")
    expect(published(stack) == DOCUMENTED_PORTS, f"the ports are {sorted(published(stack))}")
    policies(stack)
    for name in REPLICATED:
        resources = stack["services"][name]["deploy"]["resources"]
        expect(str(resources["limits"]["memory"]) == "536870912" and str(resources["limits"]["cpus"]) == "0.5", f"{name}: {resources}")
        expect(str(resources["reservations"]["memory"]) == "268435456" and str(resources["reservations"]["cpus"]) == "0.25", f"{name}: {resources}")
        expect(stack["services"][name].get("stop_grace_period") == "45s", f"{name}: the grace period")
    networks = {name: set(service["networks"]) for name, service in stack["services"].items()}
    for name in ("frontend", "matomo", "uptime-kuma"):
        expect(not networks[name] & {"data", "auth", "authdb", "control"}, f"{name}: {networks[name]}")
    expect({name for name, its in networks.items() if "data" in its} == {"backend", "messaging", "db", "db-backup"}, "data")
    expect(stack["networks"]["data"].get("internal"), "the data network has a way out")
    labels = "\n".join(f"{key}={value}" for service in stack["services"].values() for key, value in labels_of(service).items())
    routed = set(re.findall(r"Host\(`([a-z.]*)freehunt\.fr`\)", labels))
    expect(routed == HOSTS, f"the hosts are {sorted(routed)}")
    for host in HOSTS - {""}:
        expect(f"{host}votre-domaine.com" in GUIDE, f"the guide does not know {host}")
    setup = labels_of(stack["services"]["authentik-server"])["traefik.http.routers.authentik-setup.rule"]
    for path in ("/if/flow/initial-setup", "/api/v3/flows/executor/initial-setup"):
        expect(f"PathPrefix(`{path}`)" in setup, f"Authentik's first administrator: {path} is open")
    connections(stack)


def labels_of(service):
    labels = service["deploy"].get("labels", {})
    return labels if isinstance(labels, dict) else dict(label.split("=", 1) for label in labels)


def connections(stack):
    """The replicas that the guide scales to, and one more of each during an update, have their connections."""
    per_replica = {"backend": 1, "messaging": 2}
    most = int(re.search(r"max_connections=(\d+)", str(stack["services"]["db"]["command"])).group(1))
    wanted = OTHER_CONNECTIONS
    for name, listening in per_replica.items():
        replicas = int(re.search(rf"docker service scale freehunt_{name}=([1-9]\d*)$", GUIDE, re.MULTILINE).group(1))
        pool = int(stack["services"][name]["environment"]["DATABASE_MAX_CONNECTIONS"])
        wanted += (replicas + 1) * (pool + listening)
    expect(wanted <= most, f"{wanted} connections of at most {most}")


def fits(stack, what):
    """The manager takes what only it may run, one replica of each of the three, and the second tasks of an update."""
    def reserved(name):
        reservations = stack["services"][name]["deploy"]["resources"].get("reservations", {})
        return float(reservations.get("cpus", 0)), int(reservations.get("memory", 0))

    # What is optional may be there too.
    tied = set(stack["services"]) - REPLICATED
    surge = {name for name in tied if stack["services"][name]["deploy"]["update_config"]["order"] == "start-first"}
    usual = [reserved(name) for name in tied | REPLICATED]
    second = [reserved(name) for name in surge]
    replicas = [reserved(name) for name in REPLICATED]
    # A reservation of cores is small enough for all updates at once; of memory for those of the manager and one of the three.
    cores = sum(cpu for cpu, _ in usual + second + replicas)
    memory = sum(memory for _, memory in usual + second) + max(memory for _, memory in replicas)
    expect(cores <= CORES, f"{what}: the manager's reservations are {cores:.2f} of {CORES} cores")
    expect(memory <= MEMORY, f"{what}: the manager's reservations are {memory} of {MEMORY} bytes")
    # The other two machines, when one of them is away: half of everything that is not tied.
    cores = sum(3 * cpu / 2 for cpu, _ in replicas)
    expect(cores <= CORES, f"{what}: two machines cannot take the replicas of three")


def others():
    for number in range(len(OPTIONAL) + 1):
        for files in itertools.combinations(OPTIONAL, number):
            stack = config("compose.yaml", "compose.prod.yaml", *files, TUNNEL_TOKEN="token")
            # A port of the machine itself is one task's at a time.
            policies(stack, {"traefik"} if "compose.host.yaml" in files else set())
            fits(stack, " ".join(files) or "production")
    closed = config("compose.yaml", "compose.prod.yaml", "compose.closed.yaml")
    expect(published(closed) == {80}, f"closed: {published(closed)}")
    setup = config("compose.yaml", "compose.prod.yaml", "compose.closed.yaml", "compose.setup.yaml")
    asked = {router for service in setup["services"].values() for label, value in labels_of(service).items()
             if value == "dashboard-password" and (router := label.removeprefix("traefik.http.routers.").removesuffix(".middlewares"))}
    expect(asked == {"dashboard", "dashboard-host", "authentik-setup", "matomo", "uptime"}, f"setup: a password for {sorted(asked)}")
    tunnel = config("compose.yaml", "compose.prod.yaml", "compose.closed.yaml", "compose.tunnel.yaml", TUNNEL_TOKEN="token")
    expect(published(tunnel) == set(), f"tunnel: {published(tunnel)}")
    redis = config("compose.yaml", "compose.prod.yaml", "compose.redis.yaml")
    urls = {name for name, service in redis["services"].items() if service.get("environment", {}).get("REDIS_URL") == "redis://chat-redis:6379"}
    expect(urls == {"backend", "messaging"}, f"redis: {urls}")
    expect(set(redis["services"]["chat-redis"]["networks"]) == {"data"} and published(redis) == DOCUMENTED_PORTS, "redis: who can reach it")
    expect(set(redis["secrets"]) == SECRETS, "redis: another secret")
    pictures = config("compose.yaml", "compose.prod.yaml", S3_PUBLIC_URL="https://images.example")
    addresses = [it["services"]["backend"]["environment"].get("S3_PUBLIC_URL") for it in (closed, pictures)]
    expect(addresses == ["", "https://images.example"], f"the address of the avatars: {addresses}")
    host = config("compose.yaml", "compose.prod.yaml", "compose.host.yaml")
    modes = {port.get("mode") for port in host["services"].get("traefik", {}).get("ports", ()) if port["published"] == 80}
    expect(modes == {"host"}, f"host: {modes}")
    development = config("compose.yaml", "compose.dev.yaml")
    expect({"adminer", "minio", "minio-bucket", "stripe-cli"} <= set(development["services"]), "development lacks services")
    for name, service in development["services"].items():
        # That one ends when it is done.
        expect("healthcheck" in service or name == "minio-bucket", f"development: {name} has no health check")
    expect("secrets" not in development or not development["secrets"], "development asks for Swarm secrets")
    text = (ROOT / "compose.dev.yaml").read_text() + (ROOT / "compose.yaml").read_text()
    listed = set(re.findall(r"^#? ?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text))
    expect(used <= listed, f".env.example lacks {sorted(used - listed)}")
    expect(config("compose.yaml", "compose.prod.yaml", "tests/stack/override.yaml", FREEHUNT_VERSION="v1")["services"], "the test's files")


def alerts():
    return [rule["expr"] for group in yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def asked_by(expressions):
    return {re.sub("_(bucket|count|sum)$", "", name) for text in expressions for name in re.findall(r"(?:freehunt|traefik)_[a-z_]+", text)}


def observability():
    """Every number that an alert or a panel asks for is one that a program counts, and the rules see what they should."""
    sources = "\n".join(path.read_text() for path in (ROOT / "crates").glob("*/src/**/*.rs"))
    counted = set(re.findall(r'"(freehunt_[a-z_]+)"', sources))
    dashboard = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
    yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    rules = alerts()
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked = {name for name in asked_by(rules + panels) if name.startswith("freehunt_")}
    expect(asked <= counted, f"nobody counts {sorted(asked - counted)}")
    expect(rules and panels, "no rules or no panels")
    if promtool := shutil.which("promtool"):
        for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
            answer = subprocess.run([promtool, *command], cwd=OBSERVABILITY, capture_output=True, text=True)
            expect(answer.returncode == 0, f"promtool {' '.join(command)}: {answer.stdout}{answer.stderr}")
    else:
        print("note: no promtool here, so the alert rules are not tried")


def served(file):
    """What the programs of the stack's test serve, after it has driven them."""
    text = pathlib.Path(file).read_text()
    present = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"^((?:freehunt|traefik)_[a-z_]+)", text, re.MULTILINE)}
    missing = asked_by(alerts()) - present
    expect(not missing, f"nobody serves {sorted(missing)}")


def commands_of_the_guide():
    """Every command of the guide is run by the stack's test, or is marked as one that cannot be."""
    mark, run = "non exécuté ici", (ROOT / "tests/stack/run").read_text()
    forms = [re.sub(r"\\(.)", r"\1", text) if quote == '"' else text
             for quote, text in re.findall(r"""^ *(?:as_)?guide (['"])(.*)\1(?: .*)?$""", run, re.MULTILINE)]
    heading, paragraph, fenced, marked, seen = "", "", False, False, 0
    for line in map(str.strip, GUIDE.splitlines()):
        if line.startswith("```"):
            fenced, marked = line == "```bash" and not fenced, mark in heading or mark in paragraph
            paragraph = ""
        elif fenced:
            command = line.split("   # ")[0].strip()
            if command and not command.startswith("#") and not marked and mark not in line:
                seen += 1
                expect(any(form.strip() in line for form in forms), f"the guide's command is neither run nor marked: {line}")
        elif line.startswith("#"):
            heading, paragraph = line, ""
        elif line.startswith(("**", "- ")) or re.match(r"\d+\. ", line):
            paragraph = line
        elif line:
            paragraph += line
    expect(seen >= 30, f"only {seen} commands of the guide were found")


GUIDE = (ROOT / "docs/deploiement.md").read_text()
OBSERVABILITY = ROOT / "docs/observability"
if sys.argv[1:2] == ["metrics"]:
    served(sys.argv[2])
else:
    observability()
    commands_of_the_guide()
    DOCKER = client()
    production()
    others()
for problem in problems:
    print("FAILED ", problem)
print(f"compose files, guide, alerts and dashboard: {len(problems)} problems")
sys.exit(bool(problems))
