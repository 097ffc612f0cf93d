{{/* Rejects values that could not work or would be insecure, and says how to correct them. */}}
{{- define "ltm.choices" -}}
{{- $auth := .Values.auth -}}
{{- $redis := .Values.redis -}}
{{- if not (has $auth.mode (list "required" "off")) -}}
{{- fail "auth.mode is not set. Set auth.mode=required and auth.jwksUrl, auth.jwtKeyFile or auth.apiKeysFile; or auth.mode=off if a proxy in front of the services authenticates clients" -}}
{{- end -}}
{{- if and (eq $auth.mode "required") (not (or $auth.jwksUrl $auth.jwtKeyFile $auth.apiKeysFile)) -}}
{{- fail "auth.mode=required needs auth.jwksUrl, auth.jwtKeyFile or auth.apiKeysFile" -}}
{{- end -}}
{{- if and $auth.jwksUrl $auth.jwtKeyFile -}}
{{- fail "auth.jwksUrl and auth.jwtKeyFile are both set: keep one" -}}
{{- end -}}
{{- if and (or $auth.jwksUrl $auth.jwtKeyFile) (not $auth.audience) -}}
{{- fail "auth.audience is empty: set it to the `aud` that tokens must have, so that tokens for other services are rejected" -}}
{{- end -}}
{{- if and (or $auth.jwtKeyFile $auth.apiKeysFile) (not $auth.existingSecret) -}}
{{- fail "auth.existingSecret is empty: name the Secret that has the keys auth.jwtKeyFile and auth.apiKeysFile" -}}
{{- end -}}
{{- if and $redis.url $redis.existingSecret -}}
{{- fail "redis.url and redis.existingSecret are both set: keep one" -}}
{{- end -}}
{{- if not (or $redis.url $redis.existingSecret) -}}
{{- fail "Redis is not named: set redis.existingSecret to a Secret with its URL, or redis.url if it has no password" -}}
{{- end -}}
{{- if and $redis.sentinel.service (not (or $redis.sentinel.urls $redis.sentinel.urlsKey)) -}}
{{- fail "redis.sentinel.service is set without redis.sentinel.urls or redis.sentinel.urlsKey" -}}
{{- end -}}
{{- if and (or $redis.sentinel.urls $redis.sentinel.urlsKey) (not $redis.sentinel.service) -}}
{{- fail "redis.sentinel.service is empty: set it to the name in the Sentinels' `sentinel monitor`" -}}
{{- end -}}
{{- if and $redis.sentinel.urlsKey (not $redis.existingSecret) -}}
{{- fail "redis.sentinel.urlsKey is a key of redis.existingSecret, which is empty" -}}
{{- end -}}
{{- if and $redis.sentinel.urls $redis.sentinel.urlsKey -}}
{{- fail "redis.sentinel.urls and redis.sentinel.urlsKey are both set: keep one" -}}
{{- end -}}
{{- if and $redis.sentinel.service $redis.clusterNodes -}}
{{- fail "redis.sentinel.service and redis.clusterNodes are both set: a Redis Cluster has no Sentinels; keep one" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is empty: set it to the host name of the Ingress" -}}
{{- end -}}
{{- range $key := list "redis" "auth" "tracing" -}}
{{- if hasKey $.Values.settings $key -}}
{{- fail (printf "settings.%s is not allowed: use the values under %s, which keep secrets in Secrets" $key $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "listen" "drain_notice" "drain_time" "max_subscribers" -}}
{{- range $section := list "api" "gateway" -}}
{{- if hasKey (get $.Values.settings $section | default dict) $key -}}
{{- fail (printf "settings.%s.%s is set by the chart: use the values under %s" $section $key $section) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
