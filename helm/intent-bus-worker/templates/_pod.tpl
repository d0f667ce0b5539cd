{{/* What stands in the pod. */}}

{{/* "yes" for what `get` gives where nothing is: null, or "" if there is not even the name. */}}
{{- define "intent-bus-worker.missing" -}}
{{- if or (kindIs "invalid" .) (eq (toString .) "") -}}yes{{- end -}}
{{- end -}}

{{/* The command line. Kubernetes puts variables in the place of $(NAME), and one $ in the place of two: with every $ doubled,
the program gets what stands in the values. */}}
{{- define "intent-bus-worker.args" -}}
{{- $values := .Values -}}
{{- $args := concat (list "listen") $values.goals (list "--namespace" $values.namespace) -}}
{{- with $values.capabilities -}}
{{- $args = concat $args (list "--capability" (join "," .)) -}}
{{- end -}}
{{- if $values.ownOnly -}}
{{- $args = append $args "--own" -}}
{{- end -}}
{{- $args = concat $args (list "--concurrency" (int64 $values.concurrency | toString)) -}}
{{- $args = concat $args (list "--timeout" (printf "%ds" (int64 $values.timeoutSeconds))) -}}
{{- $args = concat $args (list "--grace" (printf "%ds" (int64 $values.graceSeconds))) -}}
{{- /* No run takes longer after SIGTERM, but telling its end may, while the bus is away: then the pod gives up by itself, and is
not killed. */}}
{{- $args = concat $args (list "--stop-timeout" (printf "%ds" (int64 $values.timeoutSeconds))) -}}
{{- $args = concat $args (list "--max-output" (int64 $values.maxOutputBytes | toString)) -}}
{{- if $values.verbose -}}
{{- $args = append $args "--verbose" -}}
{{- end -}}
{{- range $word := concat $args (list "--exec") $values.exec }}
- {{ $word | replace "$" "$$" | quote }}
{{- end }}
{{- end -}}

{{/* Longer than a run may take: SIGKILL before that would leave its lease to end, and its work to be repeated. */}}
{{- define "intent-bus-worker.grace" -}}
{{- add (int64 .Values.timeoutSeconds) (int64 .Values.graceSeconds) (int64 .Values.terminationGraceSlackSeconds) -}}
{{- end -}}

{{/* Environment without extraEnv. The key is in it, and in no file: `intent-bus` takes no key file of another user's, as
mounted secrets are. It keeps the key from the program that it runs. */}}
{{- define "intent-bus-worker.env" -}}
- name: INTENT_BUS_URL
  value: {{ .Values.bus.url | quote }}
- name: INTENT_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.bus.existingSecret }}
      key: {{ .Values.bus.key | quote }}
{{- end -}}

{{- define "intent-bus-worker.podSecurity" -}}
runAsNonRoot: true
{{- $values := .Values.podSecurityContext -}}
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $id := get $values $name }}
{{- if not (include "intent-bus-worker.missing" $id) }}
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
