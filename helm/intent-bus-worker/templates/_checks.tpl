{{/* What the schema cannot say, or could not say so that one understands it. All faults at once. */}}
{{- define "intent-bus-worker.checks" -}}
{{- $values := .Values -}}
{{- $faults := list -}}
{{- if not $values.image.repository -}}
{{- $faults = append $faults "image.repository is required: an image of yours that holds the program of `exec` and the binary `intent-bus`." -}}
{{- else if not (or $values.image.tag $values.image.digest) -}}
{{- $faults = append $faults "image.tag or image.digest is required." -}}
{{- end -}}
{{- if eq $values.image.tag "latest" -}}
{{- $faults = append $faults "image.tag: latest is refused, since nobody could say what runs or go back to it." -}}
{{- end -}}
{{- if not $values.bus.url -}}
{{- $faults = append $faults "bus.url is required: the address of the bus, such as https://bus.example.com." -}}
{{- /* Not by the schema, which would repeat an address with a password in it. */}}
{{- else if not (regexMatch "^https?://[^/?#@\\s]+/?$" $values.bus.url) -}}
{{- $faults = append $faults "bus.url must be http:// or https://, a host and perhaps a port: no user, no path, no query." -}}
{{- end -}}
{{- if not $values.bus.existingSecret -}}
{{- $faults = append $faults "bus.existingSecret is required: the name of a secret in this namespace whose key `INTENT_API_KEY` holds an API key. For example: kubectl create secret generic worker-key --from-literal=INTENT_API_KEY=KEY, and --set bus.existingSecret=worker-key." -}}
{{- end -}}
{{- if not $values.goals -}}
{{- $faults = append $faults "goals is required: what kinds of work they take, such as [resize]." -}}
{{- end -}}
{{- if not $values.exec -}}
{{- $faults = append $faults "exec is required: the program and its arguments as a list, such as [/usr/local/bin/resize, --quiet]." -}}
{{- end -}}
{{- range $where, $labels := dict "commonLabels" $values.commonLabels "podLabels" $values.podLabels -}}
{{- range $label := keys $labels | sortAlpha -}}
{{- if or (eq $label "helm.sh/chart") (has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by")) -}}
{{- $faults = append $faults (printf "%s: %s is the chart's own; selectors go by such labels." $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $values.keda -}}
{{- if and .enabled (not .serverAddress) -}}
{{- $faults = append $faults "keda.enabled needs keda.serverAddress, such as http://prometheus-operated.monitoring.svc:9090." -}}
{{- end -}}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- $faults = append $faults "keda.minReplicas is more than keda.maxReplicas." -}}
{{- end -}}
{{- end -}}
{{- $profile := $values.podSecurityContext.seccompProfile -}}
{{- if and (eq $profile.type "Localhost") (not $profile.localhostProfile) -}}
{{- $faults = append $faults "podSecurityContext.seccompProfile.type Localhost needs localhostProfile." -}}
{{- end -}}
{{- range $values.extraEnv -}}
{{- if and (hasKey . "value") (hasKey . "valueFrom") -}}
{{- $faults = append $faults (printf "extraEnv: %s has value and valueFrom." .name) -}}
{{- end -}}
{{- if has .name (list "INTENT_BUS_URL" "INTENT_API_KEY") -}}
{{- $faults = append $faults (printf "extraEnv: the chart sets %s itself, from bus." .name) -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThese values cannot be used:\n- %s\n" (join "\n- " $faults)) -}}
{{- end -}}
{{- end -}}
