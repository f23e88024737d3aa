{{- /* "hairpind", or "hairpind" behind the release's name. */ -}}
{{- define "hairpind.name" -}}
{{- if contains "hairpind" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-hairpind" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What selects the pods: never changes. */ -}}
{{- define "hairpind.selector" -}}
app.kubernetes.io/name: hairpind
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hairpind.labels" -}}
{{ include "hairpind.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The digest wins: a tag can be moved. */ -}}
{{- define "hairpind.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of an address to listen on. */ -}}
{{- define "hairpind.port" -}}
{{ regexFind "[0-9]+$" . }}
{{- end -}}

{{- /* What the kubelet probes, with the path given: a dict of it and the root. It does not verify a certificate. */ -}}
{{- define "hairpind.probe" -}}
{{- $health := index .root.Values.config "health-listen" -}}
{host: 127.0.0.1, port: {{ include "hairpind.port" ($health | default .root.Values.config.listen) }}, path: {{ .path }}
{{- if and .root.Values.tls.secretName (not $health) }}, scheme: HTTPS{{ end }}}
{{- end -}}
