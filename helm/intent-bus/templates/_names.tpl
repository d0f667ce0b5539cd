{{/* Names and labels. */}}

{{/* What the chart is called: in names, and in app.kubernetes.io/name. */}}
{{- define "intent-bus.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of all objects. Releases may have dots in their names, services may not. */}}
{{- define "intent-bus.fullname" -}}
{{- $name := include "intent-bus.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- else -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The same with a suffix, which is never what gets cut off: (list $ "metrics"). */}}
{{- define "intent-bus.fullnameWith" -}}
{{- $suffix := last . -}}
{{- $room := int (sub 62 (len $suffix)) -}}
{{- printf "%s-%s" (include "intent-bus.fullname" (first .) | trunc $room | trimSuffix "-") $suffix -}}
{{- end -}}

{{/* What selectors ask for. Must never change: a Deployment's selector is immutable. */}}
{{- define "intent-bus.selector" -}}
app.kubernetes.io/name: {{ include "intent-bus.name" (first .) }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* All labels of an object of a component, (list $ "server"), and further ones as a third element. The chart's go
first. */}}
{{- define "intent-bus.labels" -}}
{{- $root := first . -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $own := dict "helm.sh/chart" $chart "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- merge $own (include "intent-bus.podLabels" . | fromYaml) | toYaml -}}
{{- end -}}

{{/* The same for pods, which need not be replaced because of another version of the chart or another tool. */}}
{{- define "intent-bus.podLabels" -}}
{{- $root := first . -}}
{{- $own := include "intent-bus.selector" (list $root (index . 1)) | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" ($root.Chart.AppVersion | trunc 63) -}}
{{- $more := dict -}}
{{- if gt (len .) 2 -}}
{{- $more = last . | default dict -}}
{{- end -}}
{{- merge $own $more $root.Values.commonLabels (dict "app.kubernetes.io/part-of" "intent-bus") | toYaml -}}
{{- end -}}

{{- define "intent-bus.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "intent-bus.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The secret with the keys of the bus: the one that is named, or the chart's own. */}}
{{- define "intent-bus.authSecret" -}}
{{- .Values.auth.existingSecret | default (include "intent-bus.fullnameWith" (list . "auth")) -}}
{{- end -}}

{{- define "intent-bus.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- if .Values.image.digest -}}
{{- $image = printf "%s@%s" $image .Values.image.digest -}}
{{- end -}}
{{- $image -}}
{{- end -}}

{{/* "yes" where there is a pod to test with. It speaks plain HTTP. */}}
{{- define "intent-bus.tests" -}}
{{- if and .Values.tests.enabled (ne (get .Values.config "BUS_ENFORCE_HTTPS" | toString) "true") -}}yes{{- end -}}
{{- end -}}

{{/* "yes" where a kind is to be written: (list $ "group/version/Kind" .Values.httpRoute). */}}
{{- define "intent-bus.writes" -}}
{{- $root := first . -}}
{{- $of := last . -}}
{{- if and $of.enabled (or (not $of.skipIfMissing) ($root.Capabilities.APIVersions.Has (index . 1))) -}}
yes
{{- end -}}
{{- end -}}
