{{/* Names and labels, as in the chart of the bus. */}}

{{/* What the chart is called: in names, and in app.kubernetes.io/name. */}}
{{- define "intent-bus-worker.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of all objects. Releases may have dots in their names, labels of DNS may not. */}}
{{- define "intent-bus-worker.fullname" -}}
{{- $name := include "intent-bus-worker.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- else -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors ask for. Must never change: a Deployment's selector is immutable. */}}
{{- define "intent-bus-worker.selector" -}}
app.kubernetes.io/name: {{ include "intent-bus-worker.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: worker
{{- end -}}

{{/* All labels of an object. The chart's go first. */}}
{{- define "intent-bus-worker.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $own := dict "helm.sh/chart" $chart "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $own (include "intent-bus-worker.podLabels" (list . dict) | fromYaml) | toYaml -}}
{{- end -}}

{{/* The same for pods, with further ones: (list $ .Values.podLabels). */}}
{{- define "intent-bus-worker.podLabels" -}}
{{- $root := first . -}}
{{- $own := include "intent-bus-worker.selector" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" ($root.Chart.AppVersion | trunc 63) -}}
{{- merge $own (last .) $root.Values.commonLabels (dict "app.kubernetes.io/part-of" "intent-bus") | toYaml -}}
{{- end -}}

{{- define "intent-bus-worker.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "intent-bus-worker.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "intent-bus-worker.image" -}}
{{- $image := .Values.image.repository -}}
{{- if .Values.image.tag -}}
{{- $image = printf "%s:%s" $image .Values.image.tag -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- $image = printf "%s@%s" $image .Values.image.digest -}}
{{- end -}}
{{- $image -}}
{{- end -}}

{{/* "yes" where a ScaledObject is to be written. */}}
{{- define "intent-bus-worker.scales" -}}
{{- $keda := .Values.keda -}}
{{- if and $keda.enabled (or (not $keda.skipIfMissing) (.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject")) -}}
yes
{{- end -}}
{{- end -}}
