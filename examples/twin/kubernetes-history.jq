# One's own Kubernetes history as millwright takes it (docs/twin.md, "Histories of jobs"):
#   kubectl get jobs.batch,pods,nodes -A -o json | jq -r -f kubernetes-history.jq > history.csv
# A row is what had accelerators and has ended: a Job, or a JobSet, PyTorchJob, MPIJob, … with all Jobs and pods that it made,
# or a pod by itself.

def accelerators: [
  .containers[].resources.limits // {} | to_entries[]
  | select(.key | test("^(nvidia|amd)\\.com/gpu$|^google\\.com/tpu$|^habana\\.ai/gaudi$")) | .value | tonumber
] | add // 0;

def controller: first(.metadata.ownerReferences[]? | select(.controller)) // null;

# When a condition became true.
def since($type): first(.status.conditions[]? | select(.type == $type and .status == "True") | .lastTransitionTime) // null;

# Whose row it belongs to. What a CronJob makes has rows of its own.
def whole: controller as $by
  | if $by == null or $by.kind == "CronJob" then {uid: .metadata.uid, name: .metadata.name}
    else {uid: $by.uid, name: $by.name} end;

def partOfJob: ([.spec.parallelism // 1, .spec.completions // infinite] | min) as $members | {
  whole: whole, isJob: true, $members, gpus: ($members * (.spec.template.spec | accelerators)),
  start: .status.startTime, end: (.status.completionTime // since("Failed")),
  limit: .spec.activeDeadlineSeconds
};

# A Job that is listed says how many accelerators all its pods have at once; of its pods some may be of tries that failed.
def partOfPod($jobs; $models): $jobs[(controller // {uid: ""}).uid] as $job | {
  whole: (if $job then $job | whole else whole end), isJob: false, scheduled: since("PodScheduled"),
  members: (if $job then 0 else 1 end), gpus: (if $job then 0 else .spec | accelerators end),
  end: (if .status.phase == "Succeeded" or .status.phase == "Failed"
    then [.status.containerStatuses[]?.state.terminated.finishedAt | values] | max else null end),
  limit: (if $job then null else .spec.activeDeadlineSeconds end),
  node: (if .spec | accelerators > 0 then .spec.nodeName else null end), model: $models[.spec.nodeName // ""],
  priority: .spec.priority
};

def least(f): [.[] | f | values] | min;
def most(f): [.[] | f | values] | max;

def row: (map(select(.isJob)) | if . == [] then null else . end) as $jobs
  | (least(.scheduled) // least(.start)) as $start
  | [($jobs // .)[].end] as $ends
  | select($start != null and ($ends | all))
  | (map(.members) | add) as $members
  | (map(.gpus) | add) as $gpus
  | {
    submit: (least(.submit) | fromdate), start: ($start | fromdate), end: ($ends | max | fromdate),
    $gpus, nodes: ([map(.node | values) | unique | length, $members, $gpus] | min),
    limit: most(.limit), queue: (most(.queue) // .[0].namespace), name: .[0].whole.name,
    model: (map(.model | values) | unique | if length == 1 then .[0] else null end), priority: most(.priority)
  }
  | select(.gpus > 0 and .end > .start and .start >= .submit);

.items
| (map(select(.kind == "Job") | {key: .metadata.uid, value: .}) | from_entries) as $jobs
| (map(select(.kind == "Node") | .metadata | {
    key: .name, value: (.labels | .["nvidia.com/gpu.product"] // .["cloud.google.com/gke-accelerator"])
  }) | from_entries) as $models
| map(
    select(.kind == "Job" or .kind == "Pod")
    | .metadata as $its
    | (if .kind == "Job" then partOfJob else partOfPod($jobs; $models) end)
      + {submit: $its.creationTimestamp, namespace: $its.namespace, queue: $its.labels["kueue.x-k8s.io/queue-name"]}
  )
| group_by(.whole.uid) | map(row) | sort_by(.submit)
| (.[0].submit // 0) as $first
| "submit_s,gpus,duration_s,nodes,limit_s,wait_s,queue,user,workload,model,priority,id",
  (.[] | [
    .submit - $first, .gpus, .end - .start, (if .nodes > 0 then .nodes else null end), .limit, .start - .submit,
    .queue, null, .name, .model, .priority, .name
  ] | @csv)
