{{/* Refuses what could not run, or would run open, and says what would be right. */}}
{{- define "ltm.choices" -}}
{{- $auth := .Values.auth -}}
{{- $redis := .Values.redis -}}
{{- if not (has $auth.mode (list "required" "off")) -}}
{{- fail "auth.mode is not set. Set auth.mode=required and auth.jwksUrl, auth.jwtKeyFile or auth.apiKeysFile; or auth.mode=off where something in front of the services checks who comes in" -}}
{{- end -}}
{{- if and (eq $auth.mode "required") (not (or $auth.jwksUrl $auth.jwtKeyFile $auth.apiKeysFile)) -}}
{{- fail "auth.mode=required needs auth.jwksUrl, auth.jwtKeyFile or auth.apiKeysFile" -}}
{{- end -}}
{{- if and $auth.jwksUrl $auth.jwtKeyFile -}}
{{- fail "auth.jwksUrl and auth.jwtKeyFile are both set: keep one" -}}
{{- end -}}
{{- if and (or $auth.jwksUrl $auth.jwtKeyFile) (not $auth.audience) -}}
{{- fail "auth.audience is empty: say what `aud` of a token must hold, so that a token for another service is none for this one" -}}
{{- end -}}
{{- if and (or $auth.jwtKeyFile $auth.apiKeysFile) (not $auth.existingSecret) -}}
{{- fail "auth.existingSecret is empty: auth.jwtKeyFile and auth.apiKeysFile are keys of that Secret" -}}
{{- end -}}
{{- if and $redis.url $redis.existingSecret -}}
{{- fail "redis.url and redis.existingSecret are both set: keep one" -}}
{{- end -}}
{{- if not (or $redis.url $redis.existingSecret) -}}
{{- fail "Redis is not named: set redis.existingSecret, a Secret with its URL, or redis.url where there is no password" -}}
{{- end -}}
{{- if and $redis.sentinel.service (not (or $redis.sentinel.urls $redis.sentinel.urlsKey)) -}}
{{- fail "redis.sentinel.service is set without redis.sentinel.urls or redis.sentinel.urlsKey" -}}
{{- end -}}
{{- if and (or $redis.sentinel.urls $redis.sentinel.urlsKey) (not $redis.sentinel.service) -}}
{{- fail "redis.sentinel.service is empty: it is the name in the Sentinels' `sentinel monitor`" -}}
{{- end -}}
{{- if and $redis.sentinel.urlsKey (not $redis.existingSecret) -}}
{{- fail "redis.sentinel.urlsKey is a key of redis.existingSecret, which is empty" -}}
{{- end -}}
{{- if and $redis.sentinel.urls $redis.sentinel.urlsKey -}}
{{- fail "redis.sentinel.urls and redis.sentinel.urlsKey are both set: keep one" -}}
{{- end -}}
{{- if and $redis.sentinel.service $redis.clusterNodes -}}
{{- fail "redis.sentinel.service and redis.clusterNodes are both set: a Redis Cluster has no Sentinels, keep one" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is empty" -}}
{{- end -}}
{{- range $key := list "redis" "auth" "tracing" -}}
{{- if hasKey $.Values.settings $key -}}
{{- fail (printf "settings.%s: use the values under %s, which keep secrets in Secrets" $key $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "listen" "drain_notice" "drain_time" "max_subscribers" -}}
{{- range $section := list "api" "gateway" -}}
{{- if hasKey (get $.Values.settings $section | default dict) $key -}}
{{- fail (printf "settings.%s.%s is set by the chart: see the values under %s" $section $key $section) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
