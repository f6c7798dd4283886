{{- define "tidegate.name" -}}
{{- ternary .Release.Name (printf "%s-tidegate" .Release.Name) (contains "tidegate" .Release.Name) | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tidegate.config" -}}
{{- $drain := dict "readiness" (printf "%ds" (int .Values.drain.readiness)) "streams" (printf "%ds" (int .Values.drain.streams)) -}}
{{- $ours := dict "listen" "0.0.0.0:8080" "admin" "0.0.0.0:9090" "drain" $drain -}}
{{- range $key, $_ := $ours }}{{ if hasKey $.Values.config $key }}{{ fail (printf "config.%s is written by the chart: leave it out (drain: see the value `drain`)" $key) }}{{ end }}{{ end -}}
{{- if and (ne .Values.service.type "ClusterIP") (eq (toString .Values.config.auth) "none") }}{{ fail (printf "service.type %s lets in whoever reaches it: config.auth: keys asks for API keys" .Values.service.type) }}{{ end -}}
{{- merge $ours .Values.config | toYaml }}
{{- end }}

{{- /* What the check and the proxy have in common: the same image, file and environment, so that one says what the other will. */}}
{{- define "tidegate.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.secrets }}
env:
  {{- range $name, $from := . }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef:
        {{- toYaml $from | nindent 8 }}
  {{- end }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/tidegate, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
