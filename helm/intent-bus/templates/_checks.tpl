{{/* What the schema cannot say, or could not say so that one understands it. All faults at once. */}}
{{- define "intent-bus.checks" -}}
{{- $values := .Values -}}
{{- $faults := list -}}
{{- if not $values.database.existingSecret -}}
{{- $faults = append $faults "database.existingSecret is required: the name of a secret in this namespace whose key `uri` holds the address of Postgres. For example: kubectl create secret generic intent-bus-database --from-literal=uri=postgresql://USER:PASSWORD@HOST/DATABASE, and --set database.existingSecret=intent-bus-database." -}}
{{- end -}}
{{- /* Not by the schema, which would repeat the address with its password. */}}
{{- if not (regexMatch "^[a-z0-9.-]*$" $values.database.existingSecret) -}}
{{- $faults = append $faults "database.existingSecret must be the name of a secret, not the address itself." -}}
{{- end -}}
{{- if eq $values.image.tag "latest" -}}
{{- $faults = append $faults "image.tag: latest is refused, since nobody could say what runs or go back to it." -}}
{{- end -}}
{{- $own := list "helm.sh/chart" -}}
{{- range list "name" "instance" "component" "version" "managed-by" -}}
{{- $own = append $own (printf "app.kubernetes.io/%s" .) -}}
{{- end -}}
{{- range $where, $labels := dict "commonLabels" $values.commonLabels "podLabels" $values.podLabels -}}
{{- range $label := keys $labels | sortAlpha -}}
{{- if has $label $own -}}
{{- $faults = append $faults (printf "%s: %s is the chart's own; selectors go by such labels." $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.database.ca.existingSecret $values.database.ca.existingConfigMap -}}
{{- $faults = append $faults "database.ca: give existingSecret or existingConfigMap, not both." -}}
{{- end -}}
{{- if and $values.database.directExistingSecret (not $values.database.directUriKey) -}}
{{- $faults = append $faults "database.directExistingSecret needs database.directUriKey." -}}
{{- end -}}
{{- if regexMatch "^[0-9]" (include "intent-bus.fullname" .) -}}
{{- $faults = append $faults (printf "The name %s begins with a digit, which a service's must not: set fullnameOverride." (include "intent-bus.fullname" .)) -}}
{{- end -}}
{{- $keys := list -}}
{{- range include "intent-bus.keys" . | fromYamlArray -}}
{{- if has .key $keys -}}
{{- $faults = append $faults (printf "auth: two secrets have the key %s." .key) -}}
{{- end -}}
{{- $keys = append $keys .key -}}
{{- end -}}
{{- $https := get $values.config "BUS_ENFORCE_HTTPS" | toString | eq "true" -}}
{{- $proxy := get $values.config "BUS_TRUST_PROXY" | toString -}}
{{- if and $https (has $proxy (list "" "false")) -}}
{{- $faults = append $faults "config.BUS_ENFORCE_HTTPS needs config.BUS_TRUST_PROXY: the addresses of the proxy that ends TLS." -}}
{{- end -}}
{{- if eq (int64 $values.listen.port) (int64 $values.listen.metricsPort) -}}
{{- $faults = append $faults "listen.port and listen.metricsPort must differ." -}}
{{- end -}}
{{- if and $values.metrics.serviceMonitor.enabled (not $values.metrics.enabled) -}}
{{- $faults = append $faults "metrics.serviceMonitor.enabled needs metrics.enabled." -}}
{{- end -}}
{{- with $values.autoscaling -}}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- $faults = append $faults "autoscaling.minReplicas is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and .enabled (not .targetCPUUtilizationPercentage) (not .targetMemoryUtilizationPercentage) (not .metrics) -}}
{{- $faults = append $faults "autoscaling needs something to go by: targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics." -}}
{{- end -}}
{{- end -}}
{{- $surge := include "intent-bus.text" $values.strategy.maxSurge | trimSuffix "%" -}}
{{- $unavailable := include "intent-bus.text" $values.strategy.maxUnavailable | trimSuffix "%" -}}
{{- if and (eq $surge "0") (eq $unavailable "0") -}}
{{- $faults = append $faults "strategy.maxSurge and strategy.maxUnavailable are both 0: no roll-out could begin." -}}
{{- end -}}
{{- if and (gt (int64 $values.preStopSleepSeconds) 0) (semverCompare "<1.30-0" .Capabilities.KubeVersion.Version) -}}
{{- $faults = append $faults (printf "preStopSleepSeconds needs Kubernetes 1.30, this is %s. The bus drains by itself: leave it at 0." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $otlp := $values.telemetry.otlp -}}
{{- /* Nor this by the schema. */}}
{{- if not (regexMatch "^(https?://[^\\s@]+)?$" $otlp.endpoint) -}}
{{- $faults = append $faults "telemetry.otlp.endpoint must be http:// or https://, a host and perhaps a port: no user and no password. What the collector asks for is a header, from telemetry.otlp.headers.existingSecret." -}}
{{- end -}}
{{- if and $otlp.headers.existingSecret (not $otlp.endpoint) -}}
{{- $faults = append $faults "telemetry.otlp.headers.existingSecret needs telemetry.otlp.endpoint." -}}
{{- end -}}
{{- $sampler := $values.telemetry.traces -}}
{{- $sampled := or (ne $sampler.sampler "parentbased_always_on") (not (include "intent-bus.missing" (get $sampler "samplerArg"))) -}}
{{- if and (not $otlp.endpoint) (or $sampled $values.telemetry.resourceAttributes) -}}
{{- $faults = append $faults "telemetry: there are no traces to sample or to describe without telemetry.otlp.endpoint." -}}
{{- end -}}
{{- $profile := $values.podSecurityContext.seccompProfile -}}
{{- if and (eq $profile.type "Localhost") (not $profile.localhostProfile) -}}
{{- $faults = append $faults "podSecurityContext.seccompProfile.type Localhost needs localhostProfile." -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- $faults = append $faults "ingress.enabled needs ingress.hosts, such as [{host: bus.example.com}]." -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $faults = append $faults "httpRoute.enabled needs httpRoute.parentRefs, such as [{name: my-gateway}]." -}}
{{- end -}}
{{- $taken := list -}}
{{- range include "intent-bus.env" . | fromYamlArray -}}
{{- $taken = append $taken (trimSuffix "_FILE" .name) -}}
{{- end -}}
{{- range concat $values.extraEnv $values.migrations.job.extraEnv -}}
{{- if and (hasKey . "value") (hasKey . "valueFrom") -}}
{{- $faults = append $faults (printf "extraEnv: %s has value and valueFrom." .name) -}}
{{- end -}}
{{- end -}}
{{- range $values.extraEnv -}}
{{- if has (trimSuffix "_FILE" .name) $taken -}}
{{- $faults = append $faults (printf "extraEnv: the chart sets %s itself, from config, auth, database, listen, metrics, migrations or telemetry." .name) -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThese values cannot be used:\n- %s\n" (join "\n- " $faults)) -}}
{{- end -}}
{{- end -}}
