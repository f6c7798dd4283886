"""Files as operators write them, to make mistakes in: at home, in a team, in a fleet. Each is right as it stands."""

HOME = """\
# one machine at home: llama.cpp on the card, Ollama for the rest
version: 1
listen: 127.0.0.1:8080
admin: 127.0.0.1:9090

backends:
  - url: http://127.0.0.1:8001
    name: llama
    kind: llama_cpp
    models: [qwen3-8b, qwen3-8b-long]
    max_concurrency: 4
    seats: 2
    first_byte: 2m
  - url: http://127.0.0.1:11434
    name: ollama
    kind: ollama
    models: [gemma3-4b, llama3-8b]
    aliases:
      gpt-4o-mini: gemma3-4b
    connect: 3s

routing:
  policy: goodput
  default_model: qwen3-8b
  scrape: 5s

classes:
  - name: interactive
    priority: 10
    slo: {ttft: 500ms, tpot: 50ms}
  - name: night
    bulk: true

limits:
  body:
    size: 16MiB
    stall: 10s
  connections:
    max: 512
    idle: 75s
  upstream:
    connect: 2s
    idle: 1m

health:
  probe_interval: 10s
  eject: 5s
  eject_max: 1m

log:
  level: info
  format: text
"""

TEAM = """\
version: 1
listen: "0.0.0.0:8080"
auth: keys

tenants:
  - tenant: search
    keys:
      - digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
        id: laptop
        expires: 2031-01-01
    models: [qwen3-32b, qwen3-8b, gpt-4o]
    highest_class: interactive
    weight: 2.0
    requests_per_minute: 600
    tokens_per_minute: 200000
    max_concurrent: 32
  - tenant: reports
    keys: [sha256:2222222222222222222222222222222222222222222222222222222222222222]
    highest_class: bulk
    tokens_per_day: 5000000
    limits:
      - model: qwen3-32b
        class: bulk
        requests_per_minute: 20

backends:
  # three of vLLM in two pools, and a cloud to fall back to
  - url: http://gpu1.example.com:8000
    name: gpu1
    kind: vllm
    pool: fast
    models: [qwen3-32b]
    labels: [fp8, eu]
    api_key: ${VLLM_KEY}
  - url: http://gpu2.example.com:8000
    name: gpu2
    kind: vllm
    pool: fast
    models: [qwen3-32b]
    labels: [fp16, eu]
    bias: {bulk: 0.5}
  - url: http://gpu3.example.com:8000
    name: gpu3
    kind: vllm
    pool: small
    models: [qwen3-8b]
    kv_tokens: 120000
  - url: https://api.example.com/v1
    name: cloud
    kind: openai
    pool: cloud
    models: [gpt-4o]
    api_key: ${CLOUD_KEY}
    tls:
      verify: true

routing:
  policy: goodput
  admission:
    mode: auto
    ttft_margin: 1.15
    max_hold: 60s
  fairness:
    half_life: 30s
    weights: {search: 2}
  rules:
    - when:
        model: [qwen3-32b]
        tenant: [reports]
      class: bulk
      pool: fast
    - when:
        constrained: true
      require: [fp16]
  models:
    - name: qwen3-32b
      fallback:
        model: gpt-4o
        on: [unreachable, busy]

classes:
  - name: interactive
    priority: 5
    slo:
      ttft: 200ms
      tpot: 40ms
    hedge:
      after: p95
      budget: 5%
    stream:
      granularity: token
      pace: smooth
      max_delay: 50ms
  - name: agents
    priority: 3
    fallback:
      pool: cloud

cache:
  size: 256MiB
  ttl: 1h
  tenant_share: 0.5

slos:
  - name: chat
    class: interactive
    objective: 99.5%
    window: 30d
    ttft: 250ms

hold:
  max_wait: 30s
  bytes: 256MiB
"""

FLEET = """\
# many engines behind one proxy in a cluster
version: 1
listen: 0.0.0.0:8443
admin: 127.0.0.1:9090
auth:
    mode: keys
    header: x-forwarded-user
    from: [10.0.0.5, 10.1.0.0/16]
    forward_authorization: false

tenants:
- tenant: web
  keys:
  - sha256:3333333333333333333333333333333333333333333333333333333333333333
  requests_per_minute: 6000
- tenant: "*"
  requests_per_minute: 60
  max_streams: 4

telemetry:
    endpoint: http://otel.example.com:4318
    sampling: 10%
    interval: 10s

metrics:
    models: 32
    tenants: 128

backends:
- url: http://vllm-0.vllm:8000
  pool: chat
  kind: vllm
  models: [llama-70b]
  max_concurrency: 256
- url: http://vllm-1.vllm:8000
  pool: chat
  kind: vllm
  models: [llama-70b]
  max_concurrency: 256
- url: http://embed-0.embed:8080
  pool: embed
  kind: tgi
  models: [bge-m3]

routing:
    policy: goodput
    bulk_tokens: 4096
    backfill:
        jobs: 20000
        max_wait: 10m
    windows:
    - endpoint: embeddings
      mode: adaptive
      max_wait: 10ms
      max_jobs: 64
    rules:
    - when:
        endpoint: [embeddings]
      pool: embed

classes:
- name: interactive
  slo: chatbot
- name: bulk
  window:
    mode: fixed
    max_wait: 50ms

limits:
    head:
        total: 32KiB
        timeout: 10s
    memory:
        limit: 2GiB
        shed_bulk: 0.9
        shed: 0.95
    upstream:
        connect: 1s
        keepalive: 4s

retries:
    attempts: 3
    budget_ratio: 0.1

drain:
    readiness: 5s
    streams: 60s

reload:
    watch: true
    settle: 1s

cors:
    origins: [https://app.example.com]
"""

BASES = {"home": HOME, "team": TEAM, "fleet": FLEET}
ENVIRONMENT = {"VLLM_KEY": "k1", "CLOUD_KEY": "k2"}
