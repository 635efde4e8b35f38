{{- define "kinglet.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kinglet.account" -}}
{{ .Values.serviceAccount.name | default (include "kinglet.name" .) }}
{{- end }}

{{- define "kinglet.selector" -}}
app.kubernetes.io/name: kinglet
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kinglet.labels" -}}
{{ include "kinglet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* The files of an input's ConfigMap, as YAML; "" if there is none. */ -}}
{{- define "kinglet.files.prometheus" -}}
{{- $t := .Values.targets }}
{{- $files := dict }}
{{- range $name, $on := dict "kube-proxy" $t.kubeProxy "containerd" $t.containerd "etcd" $t.etcd "node-local-dns" $t.nodeLocalDns "gke-metadata-server" $t.gkeMetadataServer }}
{{- if $on }}{{ $_ := set $files (printf "%s.toml" $name) ($.Files.Get (printf "files/%s.toml" $name)) }}{{ end }}
{{- end }}
{{- include "kinglet.yaml" (merge $files .Values.extraInputs.prometheus) }}
{{- end }}

{{- define "kinglet.files.kubelet" -}}
{{- $files := dict }}
{{- if .Values.kubelet.enabled }}{{ $_ := set $files "kubelet.toml" (.Files.Get (printf "files/kubelet%s.toml" (include "kinglet.verify" .))) }}{{ end }}
{{- include "kinglet.yaml" (merge $files .Values.extraInputs.kubelet) }}
{{- end }}

{{- define "kinglet.files.pods" -}}
{{- $files := dict }}
{{- if .Values.pods.enabled }}{{ $_ := set $files "pods.toml" (.Files.Get (printf "files/pods%s.toml" (include "kinglet.verify" .))) }}{{ end }}
{{- if .Values.targets.coredns }}{{ $_ := set $files "coredns.toml" (printf "%s%s" (.Files.Get "files/coredns.toml") (ternary "kubelet_insecure_skip_verify = true\n" "" (eq .Values.kubelet.verify "insecure"))) }}{{ end }}
{{- include "kinglet.yaml" (merge $files .Values.extraInputs.pods) }}
{{- end }}

{{- define "kinglet.yaml" -}}
{{- if . }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "kinglet.verify" -}}
{{- if eq .Values.kubelet.verify "insecure" }}-insecure{{ end }}
{{- end }}
