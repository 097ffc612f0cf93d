{{/* What each controller needs to be told. In: preset, service. */}}
{{- define "ltm.annotations" -}}
{{- if eq .preset "nginx" -}}
nginx.ingress.kubernetes.io/proxy-connect-timeout: "2"
{{- if eq .service "api" }}
# The largest api.max_body.
nginx.ingress.kubernetes.io/proxy-body-size: 128m
# One LTM, one API: needs $ltm_id from the controller's http-snippet (docs/kubernetes.md).
nginx.ingress.kubernetes.io/upstream-hash-by: "$ltm_id"
{{- else }}
# Pings come every 20 s; the gateway itself drops who does not answer.
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
# A handshake that a full or stopping gateway refuses is safe to repeat.
nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout http_503
{{- end }}
{{- else if eq .preset "haproxy" -}}
haproxy.org/check: "true"
haproxy.org/check-http: /readyz
haproxy.org/check-interval: 1s
{{- /* Of the timeouts the controller takes only some from an Ingress; a snippet it takes whole. */}}
haproxy.org/backend-config-snippet: |
  timeout connect 2s
  timeout server 60s
{{- if eq .service "api" }}
  balance hash path,field(5,/)
  hash-type consistent
{{- else }}
  balance leastconn
  # Pings come every 20 s; the gateway itself drops who does not answer.
  timeout tunnel 1h
  retry-on conn-failure empty-response 503
{{- end }}
{{- end -}}
{{- end -}}
