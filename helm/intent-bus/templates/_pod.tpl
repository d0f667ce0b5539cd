{{/* What the pods of the replicas, of the migrations and of the test share. */}}

{{/* Numbers of a values file arrive as floating point, and large ones would be written as 1e+09. */}}
{{- define "intent-bus.text" -}}
{{- if kindIs "float64" . -}}{{ int64 . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* "yes" for what `get` gives where nothing is: null, or "" if there is not even the name. Zero is something. */}}
{{- define "intent-bus.missing" -}}
{{- if or (kindIs "invalid" .) (eq (toString .) "") -}}yes{{- end -}}
{{- end -}}

{{/* A setting of `config` as a number, or what the bus takes if it is not there: (list $ "BUS_DRAIN_SECONDS" 5). */}}
{{- define "intent-bus.seconds" -}}
{{- $value := get (first .).Values.config (index . 1) -}}
{{- if include "intent-bus.missing" $value -}}{{ last . }}{{- else -}}{{ int64 $value }}{{- end -}}
{{- end -}}

{{/* Longer than the bus takes to stop: SIGKILL before that would cut off requests under way. */}}
{{- define "intent-bus.grace" -}}
{{- $drain := include "intent-bus.seconds" (list . "BUS_DRAIN_SECONDS" 5) | int64 -}}
{{- $shutdown := include "intent-bus.seconds" (list . "BUS_SHUTDOWN_SECONDS" 30) | int64 -}}
{{- add .Values.preStopSleepSeconds $drain $shutdown .Values.terminationGraceSlackSeconds -}}
{{- end -}}

{{- define "intent-bus.podSecurity" -}}
runAsNonRoot: true
{{- $values := .Values.podSecurityContext -}}
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $id := get $values $name }}
{{- if not (include "intent-bus.missing" $id) }}
{{ $name }}: {{ int64 $id }}
{{- end }}
{{- end }}
{{- with $values.supplementalGroups }}
supplementalGroups:
  {{- range . }}
  - {{ int64 . }}
  {{- end }}
{{- end }}
seccompProfile:
  type: {{ $values.seccompProfile.type }}
  {{- if eq $values.seccompProfile.type "Localhost" }}
  localhostProfile: {{ $values.seccompProfile.localhostProfile | quote }}
  {{- end }}
{{- end -}}

{{/* Not by values: nowhere does the bus need more. */}}
{{- define "intent-bus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where a file with a secret is in the container. */}}
{{- define "intent-bus.secrets" -}}
/run/secrets/intent-bus
{{- end -}}

{{/* Environment that leads to the database: files, or what Kubernetes joins where there is a suffix. */}}
{{- define "intent-bus.databaseEnv" -}}
{{- $database := .Values.database -}}
{{- $addresses := list (list "DATABASE_URL" $database.existingSecret $database.uriKey) -}}
{{- if $database.directUriKey -}}
{{- $direct := $database.directExistingSecret | default $database.existingSecret -}}
{{- $addresses = append $addresses (list "DATABASE_DIRECT_URL" $direct $database.directUriKey) -}}
{{- end -}}
{{- range $addresses }}
{{- if $database.uriSuffix }}
- name: INTENT_BUS_{{ first . }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ last . }}
- name: {{ first . }}
  value: {{ printf "$(INTENT_BUS_%s)%s" (first .) $database.uriSuffix | quote }}
{{- else }}
- name: {{ first . }}_FILE
  value: {{ include "intent-bus.secrets" $ }}/{{ first . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The ways in, as a list of maps with the setting and its key in the secret. */}}
{{- define "intent-bus.keys" -}}
{{- $auth := .Values.auth -}}
- {setting: BUS_SECRET, key: {{ $auth.root.key | quote }}}
{{- if $auth.admin.enabled }}
- {setting: BUS_ADMIN_SECRET, key: {{ $auth.admin.key | quote }}}
{{- end }}
{{- if $auth.dashboard.enabled }}
- {setting: DASHBOARD_PASSWORD, key: {{ $auth.dashboard.key | quote }}}
{{- end }}
{{- if $auth.metrics.enabled }}
- {setting: BUS_METRICS_TOKEN, key: {{ $auth.metrics.key | quote }}}
{{- end }}
{{- end -}}

{{/* Sources of the volume of secrets: of the database. */}}
{{- define "intent-bus.databaseSources" -}}
{{- $database := .Values.database -}}
{{- if not $database.uriSuffix -}}
- secret:
    name: {{ $database.existingSecret }}
    items:
      - {key: {{ $database.uriKey | quote }}, path: DATABASE_URL}
{{- if $database.directUriKey }}
- secret:
    name: {{ $database.directExistingSecret | default $database.existingSecret }}
    items:
      - {key: {{ $database.directUriKey | quote }}, path: DATABASE_DIRECT_URL}
{{- end }}
{{- end -}}
{{- end -}}

{{/* A volume of secrets from sources given as text. Files belong to fsGroup, and the mode is 0440 (288); without one
they belong to root's group, and the mode is 0444 (292). */}}
{{- define "intent-bus.secretsVolume" -}}
{{- $group := get (first .).Values.podSecurityContext "fsGroup" -}}
- name: intent-bus-secrets
  projected:
    defaultMode: {{ if include "intent-bus.missing" $group }}292{{ else }}288{{ end }}
    sources:
      {{- last . | nindent 6 }}
{{- end -}}

{{- define "intent-bus.secretsMount" -}}
- name: intent-bus-secrets
  mountPath: {{ include "intent-bus.secrets" . }}
  readOnly: true
{{- end -}}

{{- define "intent-bus.caVolume" -}}
{{- $ca := .Values.database.ca -}}
{{- if $ca.existingSecret -}}
- name: intent-bus-database-ca
  secret:
    secretName: {{ $ca.existingSecret }}
    items:
      - {key: {{ $ca.key | quote }}, path: {{ $ca.key | quote }}}
{{- else if $ca.existingConfigMap -}}
- name: intent-bus-database-ca
  configMap:
    name: {{ $ca.existingConfigMap }}
    items:
      - {key: {{ $ca.key | quote }}, path: {{ $ca.key | quote }}}
{{- end -}}
{{- end -}}

{{- define "intent-bus.caMount" -}}
{{- if or .Values.database.ca.existingSecret .Values.database.ca.existingConfigMap -}}
- name: intent-bus-database-ca
  mountPath: /etc/intent-bus/database-ca
  readOnly: true
{{- end -}}
{{- end -}}

{{/* Where traces go, and which. */}}
{{- define "intent-bus.telemetryEnv" -}}
{{- $telemetry := .Values.telemetry -}}
{{- if $telemetry.otlp.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $telemetry.otlp.endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ $telemetry.otlp.protocol | quote }}
- name: OTEL_EXPORTER_OTLP_COMPRESSION
  value: {{ $telemetry.otlp.compression | quote }}
{{- if $telemetry.otlp.headers.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS_FILE
  value: {{ include "intent-bus.secrets" . }}/OTEL_EXPORTER_OTLP_HEADERS
{{- end }}
- name: OTEL_TRACES_SAMPLER
  value: {{ $telemetry.traces.sampler | quote }}
{{- if not (include "intent-bus.missing" (get $telemetry.traces "samplerArg")) }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $telemetry.traces.samplerArg | toString | quote }}
{{- end }}
{{- with $telemetry.resourceAttributes }}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" $name $value) }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ join "," $pairs | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The environment of a replica, without extraEnv. */}}
{{- define "intent-bus.env" -}}
{{- $root := . -}}
{{- $address := .Values.listen.address -}}
{{- if contains ":" $address -}}
{{- $address = printf "[%s]" $address -}}
{{- end -}}
{{- $metrics := printf "%s:%d" $address (int64 .Values.listen.metricsPort) -}}
- name: BUS_LISTEN
  value: {{ printf "%s:%d" $address (int64 .Values.listen.port) | quote }}
- name: BUS_METRICS_LISTEN
  value: {{ ternary $metrics "off" .Values.metrics.enabled | quote }}
- name: BUS_MIGRATE
  value: {{ eq .Values.migrations.mode "start" | quote }}
{{- include "intent-bus.databaseEnv" . }}
{{- range include "intent-bus.keys" . | fromYamlArray }}
- name: {{ .setting }}_FILE
  value: {{ include "intent-bus.secrets" $root }}/{{ .setting }}
{{- end }}
{{- include "intent-bus.telemetryEnv" . }}
{{- range $name, $value := .Values.config }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ include "intent-bus.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where and beside whom the pods run: the same for all of them. */}}
{{- define "intent-bus.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Sources of the volume of secrets: of a replica. */}}
{{- define "intent-bus.serverSources" -}}
{{- with include "intent-bus.databaseSources" . -}}
{{ . }}
{{ end -}}
- secret:
    name: {{ include "intent-bus.authSecret" . }}
    items:
      {{- range include "intent-bus.keys" . | fromYamlArray }}
      - {key: {{ .key | quote }}, path: {{ .setting }}}
      {{- end }}
{{- with .Values.telemetry.otlp }}
{{- if and .endpoint .headers.existingSecret }}
- secret:
    name: {{ .headers.existingSecret }}
    items:
      - {key: {{ .headers.key | quote }}, path: OTEL_EXPORTER_OTLP_HEADERS}
{{- end }}
{{- end }}
{{- end -}}

{{/* Sources of the volume of secrets: of the test, which needs the root key only. */}}
{{- define "intent-bus.rootKeySource" -}}
- secret:
    name: {{ include "intent-bus.authSecret" . }}
    items:
      - {key: {{ .Values.auth.root.key | quote }}, path: BUS_SECRET}
{{- end -}}
