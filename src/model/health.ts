import { formatDuration } from './duration.ts'

/**
 * From when on a sign of trouble counts, what follows from it, and who says so (facts/reliability.md §4). Whoever detects or
 * decides takes its defaults from here; `millwright signals` and docs/recovery.md show them. What XIDs ask for is in `xids.ts`.
 */
export interface HealthRule {
  signal: string
  /** From so much on. */
  at: number
  /** What `at` counts: seconds, a share of one, or that many of these. */
  unit: 's' | 'share' | (string & {})
  /** What lies further back, or further apart, does not count. */
  withinSeconds?: number
  follows: string
  source: string
}

const day = 86_400
const ours = 'ours'
/** Which signals tell a lemon is known, and not how much each does: they weigh the same. */
const rsc = (signal: string) => `Meta RSC's signals of a lemon: ${signal}; the number is ours`

export const health = {
  agentLate: {
    signal: "a node's agent is silent",
    at: 20,
    unit: 's',
    follows: 'the node takes no new work',
    source: 'ours: two of its signs of life',
  },
  agentLost: {
    signal: "a node's agent is silent",
    at: 40,
    unit: 's',
    follows: 'the node is lost, and its pods have failed',
    source: 'Kubernetes',
  },
  cutOff: {
    signal: 'more than one node, and more than so much of the fleet, is silent at once',
    at: 0.5,
    unit: 'share',
    follows: 'nothing is given up',
    source: "NVSentinel's breaker, 50 %; Kubernetes slows evictions at 55 % of a zone",
  },
  outOfService: {
    signal: 'so much of a pool is closed or not ready',
    at: 0.2,
    unit: 'share',
    follows: 'recovery closes no more of it, and no more spares are kept',
    source: 'Karpenter stops to repair nodes there',
  },
  hang: {
    signal: 'a rank that told its steps tells no more',
    at: 3,
    unit: 'mean steps',
    follows: 'it hangs, and its gang starts again',
    source: 'Unicron (arXiv 2401.00134)',
  },
  hangLeast: {
    signal: 'the same, of a job with short steps',
    at: 3,
    unit: 's',
    follows: 'not before',
    source: ours,
  },
  hangPaused: {
    signal: 'the same, of a job that has paused for long before',
    at: 1.5,
    unit: 'such pauses',
    follows: 'not before',
    source: ours,
  },
  firstStep: {
    signal: 'a rank of a job that has stepped before tells no step, where `progressDeadlineSeconds` is left out',
    at: 600,
    unit: 's',
    follows: 'the same, if three times what its last start took is over, too',
    source: 'NVRx gives setup as much in its example',
  },
  standsStill: {
    signal: 'all stand still, of a job where a worker starts again alone',
    at: 60,
    unit: 's',
    follows: 'all start again',
    source: ours,
  },
  lossSpike: {
    signal: 'the loss, over the median before (`failurePolicy.lossSpike.factor`)',
    at: 5,
    unit: 'times',
    follows: 'the job starts again from before that',
    source: 'the usual trigger of a replay against silent data corruption: 5 times, or NaN',
  },
  lossSpikeSteps: {
    signal: 'the same',
    at: 3,
    unit: 'steps in a row',
    follows: 'not before',
    source: ours,
  },
  lossSpikesOfJob: {
    signal: 'the same',
    at: 3,
    unit: 'spikes',
    withinSeconds: day,
    follows: 'the job has failed: it is its own loss',
    source: ours,
  },
  lossLatency: {
    signal: 'a machine may compute wrongly before the loss shows it (`failurePolicy.lossSpike.latency`)',
    at: 3600,
    unit: 's',
    follows: 'checkpoints that are not older are struck',
    source: ours,
  },
  straggler: {
    signal: 'a rank works at less than so much of the usual speed',
    at: 0.75,
    unit: 'share',
    follows: 'its node is left, once that pays',
    source: 'NVRx: the relative score below which a rank is a straggler',
  },
  stragglerLeast: {
    signal: 'the same',
    at: 30,
    unit: 's',
    follows: 'not before',
    source: 'ours: three reports',
  },
  conditionWell: {
    signal: 'a node that was closed for its conditions alone has none of them any more',
    at: 60,
    unit: 's',
    follows: 'it takes work again',
    source: "ours; node-problem-detector's cooldown is as long",
  },
  failsGang: {
    signal: 'a gang fails on one node, without a new checkpoint',
    at: 3,
    unit: 'times',
    follows: 'the node is closed',
    source: ours,
  },
  lemon: {
    signal: 'points of a node, as follows',
    at: 5,
    unit: 'points',
    withinSeconds: 7 * day,
    follows: 'it is a lemon: it is closed until a person opens it',
    source: 'repeat offenders: 5 remediations in 7 days',
  },
  lemonAlone: {
    signal: "a failure that is a machine's, of a gang that has no other node",
    at: 1,
    unit: 'point',
    follows: 'on the way to a lemon',
    source: rsc('single-node failures'),
  },
  lemonWithOthers: {
    signal: 'the same, of a gang on several nodes',
    at: 1,
    unit: 'point',
    follows: 'on the way to a lemon',
    source: rsc('multi-node failures'),
  },
  lemonXid: {
    signal: 'the node is closed for an XID',
    at: 1,
    unit: 'point',
    follows: 'on the way to a lemon',
    source: rsc('XIDs'),
  },
  lemonClosed: {
    signal: 'the node is closed for its conditions',
    at: 1,
    unit: 'point',
    follows: 'on the way to a lemon',
    source: rsc('out of service'),
  },
  lemonOfGang: {
    signal: 'failures of one gang, on one node',
    at: 2,
    unit: 'failures',
    withinSeconds: 7 * day,
    follows: 'no more of it count',
    source: rsc('distinct jobs'),
  },
  sameFailure: {
    signal: 'failures and closings of a node, or XIDs of a GPU, come together',
    at: 60,
    unit: 's',
    follows: 'they count as one',
    source: ours,
  },
  xidAgain: {
    signal: 'XID 13, 31 or 94 on one GPU, of a job that had it on no other',
    at: 2,
    unit: 'times',
    withinSeconds: day,
    follows: 'the node is closed, for the GPU to be diagnosed',
    source: 'NVSentinel',
  },
  xidClosings: {
    signal: 'a node was closed for one XID of one GPU, and it is told again',
    at: 2,
    unit: 'closings',
    withinSeconds: 7 * day,
    follows: 'the hardware is to be inspected',
    source: 'gpud: the same after two reboots',
  },
  xidExplains: {
    signal: 'a rank ends after an XID of a GPU of its gang',
    at: 600,
    unit: 's',
    follows: 'later the XID is not the reason',
    source: 'signals are held together from 10 min before',
  },
  xidLinked: {
    signal: 'XID 154 with `none`, of the same GPU',
    at: 300,
    unit: 's',
    follows: 'further apart it is not about that XID',
    source: 'signals are held together until 5 min after',
  },
  earlyExits: {
    signal: 'attempts in a row exit before any step was ever done',
    at: 2,
    unit: 'times',
    follows: 'the job has failed: its command is wrong, not a machine',
    source: ours,
  },
  crashLoop: {
    signal: 'a gang, or a replica, fails without a new checkpoint',
    at: 3,
    unit: 'times',
    follows: 'it displaces nobody any more',
    source: 'ours; 35 restarts led to 548 preemptions at Meta (arXiv 2410.21680)',
  },
  leavingNotice: {
    signal: "a node is to be left on another's word, such as a spot instance's",
    at: 90,
    unit: 's',
    follows: 'a checkpoint is waited for no longer',
    source: 'AWS gives 120 s, of which 30 s are left for the grace period',
  },
  leavingPatient: {
    signal: 'a node is to be left because a person or recovery says so',
    at: 600,
    unit: 's',
    follows: 'a checkpoint is waited for no longer',
    source: ours,
  },
} as const satisfies Readonly<Record<string, HealthRule>>

/** As people read it: `40s`, `20 %`, `5 failures in 7d`. */
export function thresholdSaid({ at, unit, withinSeconds }: HealthRule): string {
  const amount =
    at === 0
      ? 'at once'
      : unit === 's'
        ? formatDuration(1000 * at)
        : unit === 'share'
          ? `${100 * at} %`
          : `${at} ${unit}`
  return withinSeconds === undefined ? amount : `${amount} in ${formatDuration(1000 * withinSeconds)}`
}
