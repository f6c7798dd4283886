"""The subcommands: what each is for, examples, exit codes."""

import argparse
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.cli import forecast_options, options


class Command(NamedTuple):
    """One subcommand."""

    summary: str
    epilog: str
    """Example and exit codes."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    in_environment: bool = False
    """Whether variables may stand for its options."""


COMMANDS: Final = {
    "serve": Command(
        "run the proxy, with a configuration file or in front of the engines named",
        "example:\n  tidegate serve routing.yaml --listen 0.0.0.0:8080 --log-format json\n"
        "  tidegate serve http://127.0.0.1:8001 http://127.0.0.1:8002\n\n"
        "exit codes:\n  0  drained after SIGTERM or Ctrl-C\n"
        "  1  the file is wrong, an address is taken, or too little may be used\n  2  usage, a wrong URL included\n"
        "  130, 143  ended at once by a second SIGINT, SIGTERM",
        options.serve,
        in_environment=True,
    ),
    "init": Command(
        "write a commented configuration file for the engines found on this machine",
        "It asks the ports of 127.0.0.1 that engines usually have (8000, 8001, 8080, 11434, 30000, 1234).\n\n"
        "Whole files for a home, a team or Kubernetes, and for who comes from nginx, LiteLLM, Olla or llama-swap,\n"
        "are in config/examples of the source.\n\n"
        "example:\n  tidegate init\n  tidegate init --stdout\n\n"
        "exit codes:\n  0  written, engines found or not\n  1  the file is there already, or cannot be written\n"
        "  2  usage",
        options.init,
    ),
    "demo": Command(
        "show the proxy at work, scene by scene: four simulated engines, no GPU and no network",
        "example:\n  tidegate demo --listen 127.0.0.1:8080\n  tidegate demo --scene round_robin --for 30s --json\n\n"
        "exit codes:\n  0  over, or ended by Ctrl-C or SIGTERM (make itself then says 130)\n"
        "  1  could not start, such as an address that is taken\n"
        "  2  usage",
        options.demo,
    ),
    "sim": Command(
        "run one simulated engine over HTTP",
        "example:\n  tidegate sim --help\n\nexit codes:\n  0  ended by Ctrl-C or SIGTERM\n"
        "  1  could not start\n  2  usage",
        options.sim,
    ),
    "simulate": Command(
        "try a configuration on recorded or made-up traffic, on virtual time before modelled engines",
        "example:\n  tidegate simulate routing.yaml --trace trace.jsonl --speed 1.5 --compare round_robin --seeds 3\n"
        "  tidegate simulate --workload mixed --engines 8xlow_latency,8xhigh_throughput --out results\n"
        "  tidegate simulate routing.yaml --engines engines.yaml --trace access.log --forecast\n"
        "  tidegate simulate --check-yesterday access.log\n\n"
        "exit codes:\n  0  played, or what came is as forecast\n  1  a file is wrong, or it is not\n  2  usage",
        options.simulate,
    ),
    "calibrate": Command(
        "make modelled engines of an access log, and say how far they are off on time that nothing was fitted to",
        "Lines that cannot be learned from (retried, hedged, merged, from the cache, without usage) are counted.\n"
        "The file is for --engines of simulate, plan and tune. Needs tidegate[bench].\n\n"
        "example:\n  tidegate calibrate access.log access.log.1.gz --out engines.yaml\n"
        "  tidegate simulate routing.yaml --engines engines.yaml --trace access.log --speed 1.5\n\n"
        "exit codes:\n  0  written\n  1  too little to learn from, or more than 15 % off: then nothing is forecast\n"
        "  2  usage",
        forecast_options.calibrate,
    ),
    "report": Command(
        "make a page, charts and tables of what tidegate bench measured",
        "Percentiles come with n and the range that holds the true one, never of too few requests; warm and cold are\n"
        "never mixed; what a number hangs on is listed, with what is missing. Needs tidegate[bench].\n\n"
        "example:\n  tidegate report results --slo ttft=500ms,tpot=50ms\n"
        "  tidegate report base new --out compared\n\n"
        "exit codes:\n  0  written\n  1  a run cannot be read, or they are of different machines\n  2  usage",
        options.report,
    ),
    "bench": Command(
        "measure a server, or the proxy and what stands behind it in pairs, by a load that can be made again",
        "Latencies count from the moment at which a request was meant to be sent. The load comes from a process of\n"
        "its own, which says when it was the bottleneck. A run is a folder: requests.csv (a row for each request),\n"
        "details.jsonl (a line for each row) and run.json (all that the numbers hang on).\n\n"
        "Keys: TIDEGATE_API_KEY for --url, TIDEGATE_DIRECT_API_KEY for --direct, TIDEGATE_ADMIN_KEY for --admin.\n\n"
        "A user's own stages for rag: a function (question, stage) that returns messages, and says what it does by\n"
        "`with stage('retrieval'):`. Prompts in a file *.jsonl: prompt, messages, conversations, input or body.\n\n"
        "example:\n  tidegate bench --url http://127.0.0.1:8080 --direct http://127.0.0.1:8001 --workload short-chat"
        " --concurrency 8,32,128 --requests 2000 --seed 1 --out run1\n"
        "  tidegate bench --url http://127.0.0.1:8080 --workload embeddings --rate 50 --duration 60s"
        " --sweep window.max_wait=0,5,10,20,30,50\n"
        "  tidegate bench --url http://127.0.0.1:8080 --workload trace trace.jsonl --speed 0.5,1,1.5 --cache cold\n"
        "  tidegate bench compare base new --fail-if 'p99_ttft>+5%'\n"
        "  tidegate bench quality run1\n\n"
        "exit codes:\n  0  measured\n"
        "  1  not measured, nothing served, ended early (--resume), or a gate failed\n  2  usage",
        options.bench,
    ),
    "check": Command(
        "say everything that is wrong with a configuration file",
        "example:\n  tidegate check routing.yaml\n  tidegate check --strict --format github config/*.yaml\n\n"
        "exit codes:\n  0  right\n  1  wrong\n  2  usage",
        options.check,
    ),
    "doctor": Command(
        "say what is wrong around a configuration: engines, names, certificates, clocks, Redis, this machine",
        "It only reads, and takes 10 s at most. With --public it answers itself at\n"
        "`listen` while no proxy runs there; a running one is asked for 2 streams of 24\n"
        "tokens, with the key in TIDEGATE_API_KEY.\n\n"
        "example:\n  tidegate doctor routing.yaml\n"
        "  tidegate doctor routing.yaml --public https://llm.example.com --silence 70s\n\n"
        "exit codes:\n  0  nothing is an error\n  1  something is, or the file is wrong\n  2  usage",
        options.doctor,
    ),
    "diff": Command(
        "say what another configuration file changes in meaning",
        "Comments, order of keys and defaults that are spelled out change nothing.\n\n"
        "example:\n  tidegate diff routing.yaml new.yaml\n\n"
        "exit codes:\n  0  they mean the same\n  1  they do not\n  2  one of them is wrong, or usage",
        options.diff,
    ),
    "reload": Command(
        "make a running proxy read its file anew; on trial, if that is wanted",
        "Requests under way are not touched. A file that is wrong changes nothing.\n\n"
        "example:\n  tidegate reload\n"
        "  tidegate reload --confirm 60s && ./smoke-test && tidegate reload --confirmed\n\n"
        "exit codes:\n  0  done\n  1  the file is wrong, nothing is on trial, or no proxy answers\n  2  usage",
        options.reload,
    ),
    "explain": Command(
        "ask a running proxy what it would do with a request, and why",
        "example:\n  tidegate explain routing.yaml request.json\n"
        "  tidegate explain routing.yaml - --header 'x-slo-ttft-ms: 200' < request.json\n\n"
        "exit codes:\n  0  explained\n  1  a file is wrong, no proxy answers, or the request is refused\n  2  usage",
        options.explain,
    ),
    "backends": Command(
        "say what stands behind a running proxy: engines, models, state, load, what was learned of them",
        "example:\n  tidegate backends routing.yaml\n  tidegate backends --admin http://127.0.0.1:9090 --json\n\n"
        "exit codes:\n  0  told\n  1  the file is wrong, or no proxy answers\n  2  usage",
        options.backends,
    ),
    "key": Command(
        "make an API key for a client, and say what to write into the configuration",
        "The key is printed once and kept nowhere; the configuration holds its SHA-256 alone.\n\n"
        "example:\n  tidegate key new --tenant team-a\n"
        "  tidegate key new --tenant team-a --id ci --expires 2027-01-01\n\n"
        "exit codes:\n  0  printed\n  2  usage",
        options.key,
    ),
    "status": Command(
        "say what a running proxy is and does at this moment",
        "It is what the page on the admin port shows. With an admin_key: TIDEGATE_ADMIN_KEY says it.\n\n"
        "example:\n  tidegate status\n  tidegate status --admin http://10.0.0.7:9090 --json\n\n"
        "exit codes:\n  0  it is ready\n  1  it is not, or no proxy answers\n  2  usage",
        options.status,
    ),
    "top": Command(
        "watch a running proxy: goodput, classes, budgets, backends, decisions, as they happen",
        "Keys: 1 2 3 choose what is seen, arrows scroll, s orders backends, n shows only notable decisions,\n"
        "Space holds the picture, ? helps, q ends. Where nobody looks at a terminal, it prints lines.\n"
        "With an admin_key: TIDEGATE_ADMIN_KEY says it.\n\n"
        "example:\n  tidegate top\n  tidegate top --admin http://10.0.0.7:9090 --interval 5s\n\n"
        "exit codes:\n  0  ended by q, Ctrl-C or SIGTERM\n  1  no proxy answers\n  2  usage",
        options.top,
    ),
    "cache": Command(
        "say what a running proxy keeps of answers, or make it void",
        "example:\n  tidegate cache stats\n  tidegate cache bump --model qwen3-32b\n\n"
        "exit codes:\n  0  done\n  1  no proxy answers, or it keeps none\n  2  usage",
        options.cache,
    ),
    "batch": Command(
        "give a running proxy a file of requests, watch it, list, cancel, read the results",
        "The proxy needs store: PATH. TIDEGATE_API_KEY says the key.\n\n"
        "example:\n  tidegate batch submit requests.jsonl --wait\n  tidegate batch list\n"
        "  tidegate batch cancel batch_0123456789abcdef01234567\n\n"
        "exit codes:\n  0  done; with --wait: every line was answered\n"
        "  1  a line failed, the file is wrong, or no proxy answers\n  2  usage",
        options.batch,
    ),
    "prefix": Command(
        "say which prompts change at their front, so that engines compute them anew for each request",
        "example:\n  tidegate prefix report routing.yaml\n"
        "  tidegate prefix report --admin http://127.0.0.1:9090 --json\n\n"
        "exit codes:\n  0  reported\n  1  the file is wrong, or no proxy answers\n  2  usage",
        options.prefix,
    ),
    "slo": Command(
        "write service level objectives as Prometheus rules or OpenSLO, read OpenSLO, or say how they stand",
        "example:\n  tidegate slo rules routing.yaml > tidegate-slo.rules.yml\n"
        "  tidegate slo rules routing.yaml --format openslo\n  tidegate slo import slo.yaml\n"
        "  tidegate slo status --admin http://127.0.0.1:9090\n\n"
        "exit codes:\n  0  done\n  1  a file is wrong, it has no slos, or no proxy answers\n  2  usage",
        options.slo,
    ),
    "plan": Command(
        "say how many requests fit into the memory of an engine (KV cache), or how many backends traffic needs",
        "With --trace: the fewest backends of each kind, and how they are split between short requests and bulk, so\n"
        "that a promise is kept, by the simulator. Engines that calibrate found more than 15 % off plan nothing.\n\n"
        "example:\n  tidegate plan --layers 32 --kv-heads 8 --head-dim 128 --dtype fp16 --memory 24GiB\n"
        "  tidegate plan --layers 32 --kv-heads 8 --head-dim 128 --memory 24GiB --utilization 0.9 --weights 15GiB"
        " --block 16\n"
        "  tidegate plan --slo ttft=2s,tpot=100ms --trace access.log --engines engines.yaml --goal 99%\n\n"
        "exit codes:\n  0  answered\n  1  a file is wrong, or no fleet is enough\n"
        "  2  usage, or numbers that cannot be",
        forecast_options.plan,
    ),
    "tune": Command(
        "search options that serve recorded traffic better, and print the change of the file with what it should bring",
        "Margins, the duty of prefills, windows and a split between short requests and bulk, in the simulator.\n"
        "With --url the best of them are measured through the proxy that runs FILE, and what was measured decides;\n"
        "each is real load for as long as the trace lasts. FILE is as it was afterwards, also after Ctrl-C, unless\n"
        "--write. Without --url try it on trial (tidegate reload --confirm) and hold it against the forecast.\n"
        "Engines that calibrate found more than 15 % off tune nothing.\n"
        "Keys come from the environment: TIDEGATE_API_KEY, TIDEGATE_ADMIN_KEY.\n\n"
        "example:\n"
        "  tidegate tune routing.yaml --slo ttft=1s,tpot=50ms --trace access.log --engines engines.yaml\n"
        "  tidegate tune routing.yaml --slo ttft=1s,tpot=50ms --trace access.log --engines engines.yaml \\\n"
        "      --url http://127.0.0.1:8080\n\n"
        "exit codes:\n  0  searched, with a gain or not\n"
        "  1  a file is wrong, the proxy cannot be measured, or interrupted\n  2  usage",
        forecast_options.tune,
    ),
    "schema": Command(
        "print the JSON Schema of the configuration, for editors",
        "example:\n  tidegate schema > schema.json\n\n"
        "first line of the YAML file:\n  # yaml-language-server: $schema=./schema.json\n\nexit codes:\n  0  printed\n"
        "  2  usage",
        options.schema,
    ),
    "health": Command(
        "ask a running proxy whether it is ready",
        "example:\n  tidegate health\n  tidegate health http://127.0.0.1:9090/livez\n\n"
        "exit codes:\n  0  it answered 200\n  1  it did not, within 2 s\n  2  usage",
        options.health,
    ),
    "completion": Command(
        "print the script that completes commands and options in a shell",
        "example:\n  tidegate completion bash > ~/.local/share/bash-completion/completions/tidegate\n"
        "  tidegate completion zsh > ~/.zfunc/_tidegate        (with ~/.zfunc in fpath, before compinit)\n"
        "  tidegate completion fish > ~/.config/fish/completions/tidegate.fish\n\n"
        "exit codes:\n  0  printed\n  2  usage",
        options.completion,
    ),
    "help": Command(
        "say what a command does, as its --help",
        "example:\n  tidegate help serve\n\nexit codes:\n  0  said\n  2  usage",
        options.help_,
    ),
}
