{{- define "portos-bridge.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "portos-bridge.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
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

{{- /* What stands under `metadata`: of the object `root` is for, with a `suffix` of its name, and `namespace`, `labels` and
`annotations` of its own. The chart's labels win over an operator's, or selectors would find nothing. */}}
{{- define "portos-bridge.metadata" -}}
{{- $labels := include "portos-bridge.labels" .root | fromYaml -}}
name: {{ include "portos-bridge.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .namespace | default (include "portos-bridge.namespace" .root) }}
labels: {{- merge $labels (.labels | default dict) .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
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

{{- /* SINKS: as it is set, or every sink of which there is an address, and all others. */}}
{{- define "portos-bridge.sinks" -}}
{{- $sinks := list }}
{{- if .Values.config.SINK__KAFKA__BOOTSTRAP_SERVERS }}{{ $sinks = append $sinks "kafka" }}{{ end }}
{{- if .Values.config.SINK__MQTT__URL }}{{ $sinks = append $sinks "mqtt" }}{{ end }}
{{- default (concat $sinks (keys .Values.otherSinks | sortAlpha) | join ",") .Values.config.SINKS }}
{{- end }}

{{- /* What the variables of a sink begin with, in lower case as its files of secrets do. */}}
{{- define "portos-bridge.sinkPrefix" -}}
portos_bridge_sink__{{ . | replace "-" "_" }}__
{{- end }}

{{- /* How many bytes a size is. */}}
{{- define "portos-bridge.bytes" -}}
{{- $units := dict "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 }}
{{- $binary := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 }}
{{- mulf (regexFind "^[0-9.]+" .) (get (merge $units $binary) (regexFind "[KMGTP]i?$" .) | default 1) | int64 }}
{{- end }}

{{- /* What journal and states may hold without a claim: an emptyDir shows the bridge the size of the node's disk, and the pod
is evicted when it holds more than its limit. */}}
{{- define "portos-bridge.withinEmptyDir" -}}
{{- if not .Values.persistence.enabled }}
{{- $size := include "portos-bridge.bytes" .Values.persistence.size | int64 }}
{{- $config := .Values.config }}
{{- range $name, $of := dict "JOURNAL__MAX_BYTES" (list 1073741824 8) "STATE__MAX_BYTES" (list 134217728 1) }}
{{- $most := div (mul $size (last $of)) 10 | max 4194304 }}
{{- if gt (get $config $name | default (first $of) | int64) $most }}
{{ $name }}: {{ $most }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The settings that the bridge takes up while it runs: a file each, so that a change of them needs no new pod. */}}
{{- define "portos-bridge.hot" -}}
{{- pick .Values.config "FILTER__EXCLUDE_IDS" "FILTER__EXCLUDE_RESOURCES" "FILTER__EXCLUDE_SENDERS" "LOG__LEVEL" | toYaml }}
{{- end }}

{{- /* What is mounted as the settings directory: those, and what of the account is no secret, unless `config` has it. */}}
{{- define "portos-bridge.settings" -}}
- configMap: {name: {{ include "portos-bridge.fullname" . }}-settings}
{{- $config := .Values.config }}
{{- with .Values.hub }}{{ if and .existingSecret (eq (default "jwt" $config.AUTH__SCHEME) "jwt") }}
{{- range $name, $key := dict "AUTH__USERNAME" .usernameKey "AUTH__DEVICE_NAME" .deviceNameKey }}{{ if not (get $config $name) }}
- secret:
    name: {{ $.Values.hub.existingSecret }}
    items:
      - {key: {{ $key | quote }}, path: portos_bridge_{{ lower $name }}}
{{- end }}{{ end }}
{{- end }}{{ end }}
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
{{- with .Values.secrets }}
- secret:
    name: {{ include "portos-bridge.fullname" $ }}
    items:
      {{- range $name, $_ := . }}
      - {key: {{ $name }}, path: portos_bridge_{{ lower $name }}}
      {{- end }}
{{- end }}
{{- end }}

{{- /* Terms of an affinity, in which those without a labelSelector get that of this release. */}}
{{- define "portos-bridge.affinity" -}}
{{- $own := dict "matchLabels" (include "portos-bridge.selectorLabels" . | fromYaml) }}
{{- $affinity := deepCopy .Values.affinity }}
{{- range $kind := tuple "podAffinity" "podAntiAffinity" }}{{ with get $affinity $kind }}
{{- range .requiredDuringSchedulingIgnoredDuringExecution }}
{{- if not .labelSelector }}{{ $_ := set . "labelSelector" $own }}{{ end }}
{{- end }}
{{- range .preferredDuringSchedulingIgnoredDuringExecution }}{{ with .podAffinityTerm }}
{{- if not .labelSelector }}{{ $_ := set . "labelSelector" $own }}{{ end }}
{{- end }}{{ end }}
{{- end }}{{ end }}
{{- toYaml $affinity }}
{{- end }}

{{- define "portos-bridge.topologySpreadConstraints" -}}
{{- $own := dict "matchLabels" (include "portos-bridge.selectorLabels" . | fromYaml) }}
{{- $constraints := deepCopy .Values.topologySpreadConstraints }}
{{- range $constraints }}{{ if not .labelSelector }}{{ $_ := set . "labelSelector" $own }}{{ end }}{{ end }}
{{- toYaml $constraints }}
{{- end }}

{{- /* What the monitors say of a target, whichever kind they are. */}}
{{- define "portos-bridge.endpoint" -}}
port: http
path: /metrics
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The port of an address: the one that it names, or the usual one of its scheme. */}}
{{- define "portos-bridge.port" -}}
{{- $usual := dict "http" 80 "https" 443 "ws" 80 "wss" 443 "mqtt" 1883 "mqtts" 8883 }}
{{- $address := lower . }}
{{- $server := regexReplaceAll "^[a-z]+://" $address "" | splitList "/" | first }}
{{- $port := regexFind ":[0-9]+$" $server | trimPrefix ":" | default (get $usual (regexFind "^[a-z]+" $address)) }}
{{- required (printf "networkPolicy: %s has no port; without one every port would be open" .) $port }}
{{- end }}

{{- /* The ports of hub and brokers. */}}
{{- define "portos-bridge.ports" -}}
{{- $ports := list }}
{{- range concat (splitList "," (default "" .SINK__KAFKA__BOOTSTRAP_SERVERS)) (list .HUB__URL .SINK__MQTT__URL .SINK__KAFKA__OAUTH_TOKEN_URL) }}
{{- with trim (default "" .) }}{{ $ports = append $ports (include "portos-bridge.port" .) }}{{ end }}
{{- end }}
{{- range $ports | uniq | sortAlpha }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end }}

{{- /* What the schema cannot say, or what nobody checks when a schema is skipped. */}}
{{- define "portos-bridge.checks" -}}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "replicaCount: at most 1, since two bridges would send every event twice" }}
{{- end }}
{{- range tuple "HUB__URL" "SUBSCRIBE__RESOURCES" }}
{{- $_ := required (printf "config.%s is required" .) (get $.Values.config .) }}
{{- end }}
{{- $_ := required "config.SINK__KAFKA__BOOTSTRAP_SERVERS or config.SINK__MQTT__URL is required" (include "portos-bridge.sinks" .) }}
{{- $config := .Values.config }}
{{- $sinks := include "portos-bridge.sinks" . | splitList "," }}
{{- if not (or .Values.extraEnv .Values.extraEnvFrom) }}
{{- range $sink, $address := dict "kafka" "SINK__KAFKA__BOOTSTRAP_SERVERS" "mqtt" "SINK__MQTT__URL" }}
{{- if and (has $sink $sinks) (not (get $config $address)) }}
{{- fail (printf "config.SINKS names %s, so that config.%s is required" $sink $address) }}
{{- end }}
{{- end }}
{{- end }}
{{- $needed := addf (dig "STOP__DRAIN_SECONDS" 20 $config) (dig "DELIVERY__CLOSE_SECONDS" 5 $config) 15 }}
{{- if lt (float64 .Values.terminationGracePeriodSeconds) $needed }}
{{- fail (printf "terminationGracePeriodSeconds: at least %v, or the bridge is killed while it drains" $needed) }}
{{- end }}
{{- $paths := list }}
{{- range include "portos-bridge.secrets" . | fromYamlArray }}{{ range .secret.items }}
{{- if has .path $paths }}
{{- fail (printf "secrets.%s: is given by an existingSecret as well; keep one" (trimPrefix "portos_bridge_" .path | upper)) }}
{{- end }}
{{- $paths = append $paths .path }}
{{- end }}{{ end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled }}
{{- fail "metrics: serviceMonitor and podMonitor would scrape the bridge twice; enable one" }}
{{- end }}
{{- end }}
