{{/*
The non-secret settings of one service as environment variables. Parameters: root, service.
Settings that only the other service reads are left out, so that changing them does not restart this one.
*/}}
{{- define "ltm.settings" -}}
{{- $values := .root.Values -}}
{{- $own := get $values .service -}}
{{- $foreign := ternary (list "gateway") (list "api" "retention") (eq .service "api") -}}
{{- $auth := $values.auth -}}
{{- $redis := $values.redis -}}
{{- $variables := dict -}}
{{- $prefix := printf "LTM__%s__" (upper .service) -}}
{{- $_ := set $variables (print $prefix "LISTEN") "0.0.0.0:8000" -}}
{{- $_ := set $variables (print $prefix "DRAIN_TIME") (printf "%ds" (int $own.drainTimeSeconds)) -}}
{{- if eq .service "gateway" -}}
{{- $_ := set $variables "LTM__GATEWAY__DRAIN_NOTICE" (printf "%ds" (int $own.drainNoticeSeconds)) -}}
{{- $_ := set $variables "LTM__GATEWAY__MAX_SUBSCRIBERS" (toString (int $own.maxSubscribers)) -}}
{{- end -}}
{{- $_ := set $variables "LTM__AUTH__MODE" $auth.mode -}}
{{- if eq $auth.mode "off" -}}
{{- /* Without authentication the services answer only under the names that lead to them. */ -}}
{{- $hosts := list -}}
{{- with $values.ingress.host }}{{ $hosts = append $hosts . }}{{ end -}}
{{- range $name := list "api" "gateway" -}}
{{- $short := printf "%s-%s" (include "ltm.name" $.root) $name -}}
{{- $long := printf "%s.%s" $short $.root.Release.Namespace -}}
{{- $hosts = concat $hosts (list $short $long (print $long ".svc") (print $long ".svc.cluster.local")) -}}
{{- end -}}
{{- $_ := set $variables "LTM__HTTP__HOSTS" (join "," $hosts) -}}
{{- end -}}
{{- if eq $auth.mode "required" -}}
{{- with $auth.jwksUrl }}{{ $_ := set $variables "LTM__AUTH__JWKS_URL" . }}{{ end -}}
{{- with $auth.issuer }}{{ $_ := set $variables "LTM__AUTH__ISSUER" . }}{{ end -}}
{{- with $auth.audience }}{{ $_ := set $variables "LTM__AUTH__AUDIENCE" . }}{{ end -}}
{{- with $auth.jwtAlgorithm }}{{ $_ := set $variables "LTM__AUTH__JWT_ALGORITHM" . }}{{ end -}}
{{- if $auth.jwtKeyFile }}{{ $_ := set $variables "LTM__AUTH__JWT_KEY_FILE" (print "/etc/ltm-live/auth/" $auth.jwtKeyFile) }}{{ end -}}
{{- if $auth.apiKeysFile }}{{ $_ := set $variables "LTM__AUTH__API_KEYS_FILE" (print "/etc/ltm-live/auth/" $auth.apiKeysFile) }}{{ end -}}
{{- end -}}
{{- with $redis.url }}{{ $_ := set $variables "LTM__REDIS__URL" . }}{{ end -}}
{{- if $redis.waitReplicas }}{{ $_ := set $variables "LTM__REDIS__WAIT_REPLICAS" (toString (int $redis.waitReplicas)) }}{{ end -}}
{{- with $redis.clusterNodes }}{{ $_ := set $variables "LTM__REDIS__CLUSTER_NODES" (join "," .) }}{{ end -}}
{{- if $redis.sentinel.service -}}
{{- $_ := set $variables "LTM__REDIS__SENTINEL_SERVICE" $redis.sentinel.service -}}
{{- with $redis.sentinel.urls }}{{ $_ := set $variables "LTM__REDIS__SENTINELS" (join "," .) }}{{ end -}}
{{- end -}}
{{- if $redis.tls.existingSecret -}}
{{- range $name := list "caFile" "certFile" "keyFile" -}}
{{- with get $redis.tls $name }}{{ $_ := set $variables (printf "LTM__REDIS__TLS_%s" (snakecase $name | upper)) (print "/etc/ltm-live/redis-tls/" .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $values.tracing.endpoint }}{{ $_ := set $variables "LTM__TRACING__ENDPOINT" . }}{{ end -}}
{{- range $section, $keys := $values.settings -}}
{{- if not (has $section $foreign) -}}
{{- range $key, $value := $keys -}}
{{- /* Helm may print a number as 1e+06, so whole numbers are formatted. A list becomes comma-separated text. */ -}}
{{- $text := toString $value -}}
{{- if kindIs "slice" $value }}{{ $text = join "," $value }}{{ end -}}
{{- if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ $text = printf "%.0f" $value }}{{ end }}{{ end -}}
{{- $_ := set $variables (printf "LTM__%s__%s" (upper $section) (upper $key)) $text -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $variables }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
