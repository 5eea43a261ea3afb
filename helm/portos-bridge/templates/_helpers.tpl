{{- define "portos-bridge.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "portos-bridge.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "portos-bridge.labels" -}}
{{ include "portos-bridge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "portos-bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "portos-bridge.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "portos-bridge.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* A setting as the program reads it: Helm holds 1073741824 as a float, which would be written 1.073741824e+09. */}}
{{- define "portos-bridge.setting" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* What the variables of a sink begin with, in lower case as its files of secrets do. */}}
{{- define "portos-bridge.sinkPrefix" -}}
portos_bridge_sink__{{ . | replace "-" "_" }}__
{{- end }}

{{- /* The secrets as sources of a projected volume: a file is named as its variable in lower case. */}}
{{- define "portos-bridge.secrets" -}}
{{- with .Values.hub }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- if eq (default "jwt" $.Values.config.AUTH__SCHEME) "static" }}
      - {key: {{ .tokenKey | quote }}, path: portos_bridge_auth__token}
      {{- else }}
      - {key: {{ .passwordKey | quote }}, path: portos_bridge_auth__password}
      {{- end }}
      {{- if .keyPasswordKey }}
      - {key: {{ .keyPasswordKey | quote }}, path: portos_bridge_hub__client_key_password}
      {{- end }}
      {{- if .proxyUrlKey }}
      - {key: {{ .proxyUrlKey | quote }}, path: portos_bridge_hub__proxy_url}
      {{- end }}
{{- end }}{{ end }}
{{- with .Values.mqtt }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- if $.Values.config.SINK__MQTT__USERNAME }}
      - {key: {{ .passwordKey | quote }}, path: portos_bridge_sink__mqtt__password}
      {{- end }}
      {{- if .keyPasswordKey }}
      - {key: {{ .keyPasswordKey | quote }}, path: portos_bridge_sink__mqtt__client_key_password}
      {{- else if not $.Values.config.SINK__MQTT__USERNAME }}
      {{- fail "mqtt.existingSecret: of no use without config.SINK__MQTT__USERNAME or mqtt.keyPasswordKey" }}
      {{- end }}
{{- end }}{{ end }}
{{- with .Values.kafka }}{{ if .existingSecret }}
{{- $mechanism := default "" $.Values.config.SINK__KAFKA__SASL_MECHANISM }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- if and (eq $mechanism "OAUTHBEARER") $.Values.config.SINK__KAFKA__OAUTH_TOKEN_URL }}
      - {key: {{ .clientSecretKey | quote }}, path: portos_bridge_sink__kafka__oauth_client_secret}
      {{- else if eq $mechanism "OAUTHBEARER" }}
      - {key: {{ .tokenKey | quote }}, path: portos_bridge_sink__kafka__oauth_token}
      {{- else if $mechanism }}
      - {key: {{ .passwordKey | quote }}, path: portos_bridge_sink__kafka__sasl_password}
      {{- end }}
      {{- if .keyPasswordKey }}
      - {key: {{ .keyPasswordKey | quote }}, path: portos_bridge_sink__kafka__client_key_password}
      {{- else if not $mechanism }}
      {{- fail "kafka.existingSecret: of no use without config.SINK__KAFKA__SASL_MECHANISM or kafka.keyPasswordKey" }}
      {{- end }}
{{- end }}{{ end }}
{{- range $sink, $of := .Values.otherSinks }}{{ if $of.existingSecret }}
- secret:
    name: {{ $of.existingSecret }}
    items:
      {{- range $name, $key := $of.secretKeys }}
      - {key: {{ $key | quote }}, path: {{ include "portos-bridge.sinkPrefix" $sink }}{{ lower $name }}}
      {{- else }}
      {{- fail (printf "otherSinks.%s.existingSecret: of no use without otherSinks.%s.secretKeys" $sink $sink) }}
      {{- end }}
{{- end }}{{ end }}
{{- with .Values.admin }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .tokenKey | quote }}, path: portos_bridge_admin__token}
{{- end }}{{ end }}
{{- with .Values.privacy }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .hmacKey | quote }}, path: portos_bridge_privacy__hmac_key}
{{- end }}{{ end }}
{{- end }}

{{- /* What the schema cannot say, or what nobody checks when a schema is skipped. */}}
{{- define "portos-bridge.checks" -}}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "replicaCount: at most 1, since two bridges would send every event twice" }}
{{- end }}
{{- range tuple "SINKS" "HUB__URL" "SUBSCRIBE__RESOURCES" }}
{{- $_ := required (printf "config.%s is required" .) (get $.Values.config .) }}
{{- end }}
{{- $config := .Values.config }}
{{- $needed := addf (dig "STOP__DRAIN_SECONDS" 20 $config) (dig "DELIVERY__CLOSE_SECONDS" 5 $config) 15 }}
{{- if lt (float64 .Values.terminationGracePeriodSeconds) $needed }}
{{- fail (printf "terminationGracePeriodSeconds: at least %v, or the bridge is killed while it drains" $needed) }}
{{- end }}
{{- end }}
