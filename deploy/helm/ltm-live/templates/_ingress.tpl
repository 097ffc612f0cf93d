{{/* The annotations for each ingress controller. Parameters: preset, service. */}}
{{- define "ltm.annotations" -}}
{{- if eq .preset "nginx" -}}
nginx.ingress.kubernetes.io/proxy-connect-timeout: "2"
{{- if eq .service "api" }}
# The largest value that api.max_body can have.
nginx.ingress.kubernetes.io/proxy-body-size: 128m
# All requests for one LTM go to the same API. Needs $ltm_id from the controller's http-snippet (docs/kubernetes.md).
nginx.ingress.kubernetes.io/upstream-hash-by: "$ltm_id"
{{- else }}
# Pings come every 20 s; the gateway closes connections that do not answer them.
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
# If a full or stopping gateway rejects a handshake, it is safe to retry.
nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout http_503
{{- end }}
{{- else if eq .preset "haproxy" -}}
haproxy.org/check: "true"
haproxy.org/check-http: /readyz
haproxy.org/check-interval: 1s
{{- /* The controller has annotations for only some timeouts, so a snippet sets all of them. */}}
haproxy.org/backend-config-snippet: |
  timeout connect 2s
  timeout server 60s
{{- if eq .service "api" }}
  http-request set-var(txn.ltm) path,field(5,/)
  http-request set-var(txn.ltm) path,field(6,/,2) if { path_beg /api/v0/ltm/by-key/ }
  balance hash var(txn.ltm)
  hash-type consistent
{{- else }}
  balance leastconn
  # Pings come every 20 s; the gateway closes connections that do not answer them.
  timeout tunnel 1h
  retry-on conn-failure empty-response 503
{{- end }}
{{- end -}}
{{- end -}}
