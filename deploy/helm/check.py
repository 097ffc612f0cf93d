"""Renders the chart with each file in cases/ and checks the result; `make chart` runs it.

It checks the objects strictly against the schemas of the oldest and the newest supported Kubernetes, and against the
parts of the Prometheus operator's schemas that the chart uses (schemas.json). It also checks that the services accept
every setting, and properties that no schema covers.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import kubernetes_validate
import yaml
from helm_python import chart as helm
from helm_python.errors import HelmError

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
COPY = HERE / "ltm-live/files/alerts.yml"
PROGRAMS = pathlib.Path(os.environ.get("LTM_PROGRAMS", ROOT / "target/debug"))
# The oldest version that Chart.yaml allows, and the newest one that kubernetes_validate supports.
VERSIONS = ("1.30", "1.37")
# The smallest values that render.
LEAST = {"auth": {"mode": "off"}, "redis": {"url": "redis://redis"}}
SERVICES = ("api", "gateway")

CHART = helm.Chart.load(HERE / "ltm-live")
OWN_SCHEMAS = json.loads((HERE / "schemas.json").read_text())


def merged(*parts):
    out = {}
    for part in parts:
        for key, value in part.items():
            nested = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = merged(out[key], value) if nested else value
    return out


def render(values):
    """Returns all objects, by kind and name. Validates the values against values.schema.json first."""
    CHART.validate_schema(CHART.merge_values(values))
    texts = CHART.render(values, name="demo", namespace="ltm")
    notes = [name for name in texts if name.endswith("NOTES.txt")]
    assert notes, "NOTES.txt is not rendered"
    objects = {}
    for name, text in texts.items():
        if name in notes:
            continue
        for item in yaml.safe_load_all(text):
            if item is not None:
                key = item["kind"], item["metadata"]["name"]
                assert key not in objects, f"{key} is rendered twice"
                objects[key] = item
    return objects


def cases():
    for path in sorted((HERE / "cases").glob("*.yaml")):
        values = yaml.safe_load(path.read_text())
        if not ALERTS.exists():
            values.get("prometheusRule", {}).pop("enabled", None)
        yield path.stem, values


RENDERED = {name: (values, render(values)) for name, values in cases()}


def of_kind(objects, kind):
    return [item for (found, _), item in objects.items() if found == kind]


def pods(objects):
    """Yields each service with the spec of its pod template."""
    for item in of_kind(objects, "Deployment"):
        labels = item["metadata"]["labels"]
        yield labels["app.kubernetes.io/component"], item["spec"]["template"]["spec"]


def seconds(text):
    assert text.endswith("s"), text
    return int(text[:-1])


def settings(objects, service):
    return objects["ConfigMap", f"demo-ltm-live-{service}"]["data"]


def with_secrets(objects, service, container):
    """Returns the environment of a container as the kubelet sets it, with example values for secrets."""
    shapes = {
        "LTM__REDIS__URL": "redis://user:secret@redis:6379/0",
        "LTM__REDIS__SENTINELS": "redis://s0:26379,redis://s1:26379",
    }
    environment = dict(settings(objects, service))
    for variable in container.get("env", []):
        environment[variable["name"]] = shapes[variable["name"]]
    return environment


def print_config(service, environment):
    command = [PROGRAMS / f"ltm-{service}", "--print-config"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def refused_name(result):
    _, found, rest = result.stderr.partition("unknown field `")
    return rest.partition("`")[0] if found else None


def of_each_case(test):
    """Runs a test for every case."""

    @functools.wraps(test)
    def each(self):
        for name, (values, objects) in RENDERED.items():
            with self.subTest(case=name):
                test(self, values, objects)

    return each


class Chart(unittest.TestCase):
    @of_each_case
    def test_lint_finds_nothing(self, values, _):
        found = helm.lint(HERE / "ltm-live", values, strict=True)["messages"]
        # The chart has no icon; lint reports that with its lowest severity.
        self.assertEqual([m["error"] for m in found if m["severity"] > 1], [])

    @of_each_case
    def test_every_object_fits_the_schema_of_kubernetes(self, _, objects):
        for (kind, name), item in objects.items():
            if kind in OWN_SCHEMAS:
                jsonschema.validate(item, OWN_SCHEMAS[kind])
                continue
            for version in VERSIONS:
                kubernetes_validate.validate(item, version, strict=True)

    def test_everything_renders_every_kind(self):
        kinds = {kind for kind, _ in RENDERED["everything"][1]}
        wanted = {
            "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy",
            "PodDisruptionBudget", "Service", "ServiceMonitor",
        }
        self.assertEqual(kinds - {"PrometheusRule"}, wanted)
        self.assertEqual("PrometheusRule" in kinds, ALERTS.exists())

    @of_each_case
    def test_the_services_take_every_setting(self, _, objects):
        for service, pod in pods(objects):
            environment = with_secrets(objects, service, pod["containers"][0])
            result = print_config(service, environment)
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_setting_arrives_at_the_service(self):
        values = merged(LEAST, {"settings": {"http": {"max_connections": 1000000}, "gateway": {"ping_interval": "7s"}}})
        environment = dict(settings(render(values), "gateway"))
        self.assertEqual(environment["LTM__HTTP__MAX_CONNECTIONS"], "1000000")
        shown = print_config("gateway", environment).stdout
        self.assertIn('ping_interval = "7s"', shown)
        self.assertIn("max_connections = 1000000", shown)

    def test_without_authentication_the_services_know_the_names_that_lead_to_them(self):
        ingress = {"ingress": {"enabled": True, "host": "ltm.example.com"}}
        for service in SERVICES:
            hosts = settings(render(merged(LEAST, ingress)), service)["LTM__HTTP__HOSTS"].split(",")
            for name in ("ltm.example.com", "demo-ltm-live-api", "demo-ltm-live-gateway.ltm.svc"):
                self.assertIn(name, hosts)
        own = render(merged(LEAST, {"settings": {"http": {"hosts": "other.example"}}}))
        self.assertEqual(settings(own, "api")["LTM__HTTP__HOSTS"], "other.example")

    def test_a_setting_that_the_services_do_not_know_is_found(self):
        objects = render(merged(LEAST, {"settings": {"gateway": {"ping_intervall": "7s"}}}))
        self.assertEqual(refused_name(print_config("gateway", settings(objects, "gateway"))), "ping_intervall")

    @of_each_case
    def test_a_pod_has_time_to_send_its_subscribers_away(self, _, objects):
        for service, pod in pods(objects):
            own = settings(objects, service)
            takes = seconds(own[f"LTM__{service.upper()}__DRAIN_TIME"])
            if service == "gateway":
                takes += seconds(own["LTM__GATEWAY__DRAIN_NOTICE"])
                self.assertNotIn("lifecycle", pod["containers"][0])
            else:
                takes += pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], takes + 10)

    @of_each_case
    def test_no_pod_has_a_privilege(self, _, objects):
        for _, pod in pods(objects):
            self.assertIs(pod["automountServiceAccountToken"], False)
            context = pod["securityContext"]
            self.assertTrue(context["runAsNonRoot"])
            self.assertEqual((context["runAsUser"], context["runAsGroup"]), (10001, 10001))
            self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, pod)
            for volume in pod.get("volumes", []):
                self.assertEqual(set(volume), {"name", "secret"})
            for container in pod["containers"]:
                self.assertEqual(
                    container["securityContext"],
                    {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                )
                self.assertIn("memory", container["resources"]["limits"])

    @of_each_case
    def test_a_rollout_takes_no_pod_before_another_is_ready(self, _, objects):
        for item in of_kind(objects, "Deployment"):
            self.assertEqual(item["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0)
        for _, pod in pods(objects):
            container = pod["containers"][0]
            self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/readyz")
            self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/healthz")
            # No restart helps a pod whose Redis is away.
            self.assertEqual(container["startupProbe"]["httpGet"]["path"], "/healthz")

    @of_each_case
    def test_what_a_pod_refers_to_is_there(self, values, objects):
        redis, auth = values["redis"], values["auth"]
        for service, pod in pods(objects):
            container = pod["containers"][0]
            for source in container["envFrom"]:
                self.assertIn(("ConfigMap", source["configMapRef"]["name"]), objects)
            used = {(v["valueFrom"]["secretKeyRef"]["name"], v["valueFrom"]["secretKeyRef"]["key"]) for v in container.get("env", [])}
            known = {(redis.get("existingSecret"), key) for key in (redis.get(f"{service}UrlKey", "url"), redis.get("sentinel", {}).get("urlsKey"))}
            self.assertLessEqual(used, known)
            volumes = {v["name"]: v["secret"] for v in pod.get("volumes", [])}
            mounts = {m["name"]: m["mountPath"] for m in container.get("volumeMounts", [])}
            self.assertEqual(set(volumes), set(mounts))
            files = {f"{mounts[name]}/{i['path']}" for name, secret in volumes.items() for i in secret["items"]}
            named = {v for k, v in settings(objects, service).items() if k.endswith("_FILE")}
            self.assertEqual(files, named)
            self.assertLessEqual({s["secretName"] for s in volumes.values()}, {auth.get("existingSecret"), redis.get("tls", {}).get("existingSecret")})

    @of_each_case
    def test_no_secret_is_in_a_config_map(self, _, objects):
        for service in SERVICES:
            for value in settings(objects, service).values():
                self.assertNotRegex(value, r"://[^/]*@")

    @of_each_case
    def test_every_selector_finds_its_pods_and_no_others(self, _, objects):
        templates = {}
        for item in of_kind(objects, "Deployment"):
            labels = item["spec"]["template"]["metadata"]["labels"]
            templates[item["metadata"]["name"]] = labels.items()
            self.assertLessEqual(item["spec"]["selector"]["matchLabels"].items(), labels.items())
        for kind in ("Service", "PodDisruptionBudget"):
            for item in of_kind(objects, kind):
                selector = item["spec"]["selector"]
                selector = selector.get("matchLabels", selector).items()
                hits = [name for name, labels in templates.items() if selector <= labels]
                self.assertEqual(hits, [item["metadata"]["name"]])
        for item in of_kind(objects, "HorizontalPodAutoscaler"):
            self.assertIn(("Deployment", item["spec"]["scaleTargetRef"]["name"]), objects)
            self.assertNotIn("replicas", objects["Deployment", item["spec"]["scaleTargetRef"]["name"]]["spec"])
        for item in of_kind(objects, "NetworkPolicy"):
            for labels in templates.values():
                self.assertLessEqual(item["spec"]["podSelector"]["matchLabels"].items(), labels)
        for item in of_kind(objects, "ServiceMonitor"):
            for service in of_kind(objects, "Service"):
                labels = service["metadata"]["labels"].items()
                self.assertLessEqual(item["spec"]["selector"]["matchLabels"].items(), labels)

    @of_each_case
    def test_each_path_leads_to_its_service(self, values, objects):
        wanted = {"/": "api", "/inspector": "api", "/docs": "api", "/api/v0/ltm": "api", "/api/v0/ws-ticket": "api", "/api/v0/revocations": "api", "/ws": "gateway", "/sse": "gateway", "/agui": "gateway", "/api/v0/ws": "gateway", "/api/v0/sse": "gateway", "/api/v0/agui": "gateway"}
        found = {}
        for item in of_kind(objects, "Ingress"):
            for rule in item["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    name = path["backend"]["service"]["name"]
                    self.assertIn(("Service", name), objects)
                    # Only the page itself, and no path below it.
                    self.assertEqual(path["pathType"], "Exact" if path["path"] == "/" else "Prefix")
                    found[path["path"]] = name.removeprefix("demo-ltm-live-")
        self.assertEqual(found, wanted if values.get("ingress", {}).get("enabled") else {})

    def test_one_ltm_goes_to_one_api_and_a_socket_may_be_idle(self):
        for preset, hashed, idle in (
            ("nginx", 'upstream-hash-by: "$ltm_id"', 'proxy-read-timeout: "3600"'),
            ("haproxy", "balance hash var(txn.ltm)", "timeout tunnel 1h"),
        ):
            ingress = {"enabled": True, "host": "ltm.example.com", "preset": preset}
            objects = render(merged(LEAST, {"ingress": ingress}))
            api, gateway = (
                "\n".join(f'{key}: "{value}"' for key, value in objects["Ingress", f"demo-ltm-live-{service}"]["metadata"]["annotations"].items())
                for service in SERVICES
            )
            self.assertIn(hashed, api)
            self.assertNotIn(hashed, gateway)
            self.assertIn(idle, gateway)

    @of_each_case
    def test_the_network_lets_nobody_else_in(self, values, objects):
        for item in of_kind(objects, "NetworkPolicy"):
            self.assertEqual(item["spec"]["policyTypes"], ["Ingress", "Egress"])
            for rule in item["spec"]["ingress"]:
                self.assertTrue(rule["from"])
                self.assertNotIn({}, rule["from"])
            ports = {port["port"] for rule in item["spec"]["egress"] for port in rule["ports"]}
            redis = values["redis"]
            wanted = {53, redis.get("port", 6379)}
            wanted |= {26379} if redis.get("sentinel") else set()
            wanted |= {4318} if values.get("tracing") else set()
            wanted |= {443} if values["auth"].get("jwksUrl") else set()
            self.assertEqual(ports, wanted)

    def test_a_policy_that_names_nobody_lets_in_nobody(self):
        closed = render(merged(LEAST, {"networkPolicy": {"from": []}}))
        self.assertEqual(of_kind(closed, "NetworkPolicy")[0]["spec"]["ingress"], [])

    def test_other_settings_make_other_pods_of_that_service_alone(self):
        def marks(values):
            return {
                item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
                for item in of_kind(render(values), "Deployment")
            }

        before = marks(LEAST)
        after = marks(merged(LEAST, {"settings": {"gateway": {"ping_interval": "7s"}}}))
        self.assertEqual(before["demo-ltm-live-api"], after["demo-ltm-live-api"])
        self.assertNotEqual(before["demo-ltm-live-gateway"], after["demo-ltm-live-gateway"])

    def test_what_could_not_run_is_refused_with_what_would_be_right(self):
        required = {"auth": {"mode": "required"}}
        refused = {
            "auth.mode is not set": {"auth": {"mode": ""}},
            "needs auth.jwksUrl": required,
            "keep one": merged(required, {"auth": {"jwksUrl": "https://a/b", "jwtKeyFile": "k", "existingSecret": "s"}}),
            "auth.audience is empty": merged(required, {"auth": {"jwksUrl": "https://a/b"}}),
            "auth.existingSecret is empty": merged(required, {"auth": {"apiKeysFile": "k"}}),
            "Redis is not named": {"redis": {"url": ""}},
            "redis.url and redis.existingSecret": {"redis": {"existingSecret": "s"}},
            "without redis.sentinel.urls": {"redis": {"sentinel": {"service": "m"}}},
            "redis.sentinel.service is empty": {"redis": {"sentinel": {"urls": ["redis://s:26379"]}}},
            "redis.sentinel.urlsKey is a key": {"redis": {"sentinel": {"service": "m", "urlsKey": "k"}}},
            "a Redis Cluster has no Sentinels": {
                "redis": {"clusterNodes": ["n:6379"], "sentinel": {"service": "m", "urls": ["redis://s:26379"]}}
            },
            "ingress.host is empty": {"ingress": {"enabled": True}},
            "settings.redis": {"settings": {"redis": {"url": "redis://u:p@h"}}},
            "settings.gateway.drain_time is set": {"settings": {"gateway": {"drain_time": "1h"}}},
        }
        for text, values in refused.items():
            with self.subTest(text), self.assertRaises(HelmError) as caught:
                render(merged(LEAST, values))
            self.assertIn(text, str(caught.exception))

    def test_values_that_the_chart_does_not_have_are_refused(self):
        for values in (
            {"gatway": {}},
            {"gateway": {"replica": 3}},
            {"redis": {"url": "redis://user:secret@redis"}},
            {"auth": {"jwtAlgorithm": "none"}},
            {"podDisruptionBudget": {"maxUnavailable": 0}},
        ):
            with self.subTest(values), self.assertRaises(HelmError):
                render(merged(LEAST, values))

    def test_chart_and_images_say_the_version_of_the_services(self):
        def found(path, pattern):
            return re.search(pattern, (ROOT / path).read_text(), re.MULTILINE).group(1)

        version = found("Cargo.toml", r'^version = "(.+)"')
        self.assertEqual(CHART.metadata["appVersion"], version)
        self.assertEqual(found("deploy/Dockerfile", r"^ARG LTM_VERSION=(.+)"), version)

    def test_the_alerts_are_those_of_prometheus(self):
        if not ALERTS.exists():
            self.assertFalse(COPY.exists())
            return
        hint = f"cp {ALERTS.relative_to(ROOT)} {COPY.relative_to(ROOT)}"
        self.assertTrue(COPY.exists(), hint)
        self.assertEqual(COPY.read_text(), ALERTS.read_text(), hint)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    sys.exit(not result.wasSuccessful())
