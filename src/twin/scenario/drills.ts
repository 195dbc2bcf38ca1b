import type { DocumentError, WrittenDocument } from '../../compile/documents.ts'
import { rankErrors } from '../../model/drill-rank.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { nearest } from '../../model/nearest.ts'

export interface ReadDrill {
  drill: Drill
  file: string
  positionOf: WrittenDocument['positionOf']
}

/** What drills name and is not there: it would never be struck. */
export function unknownTargets(
  drills: readonly ReadDrill[],
  work: readonly (TrainingJob | InferenceService)[],
  nodes: readonly string[],
): DocumentError[] {
  const namesOf = (kind: 'TrainingJob' | 'InferenceService', namespace: string | undefined) =>
    work.filter((one) => one.kind === kind && one.metadata.namespace === namespace).map(({ metadata }) => metadata.name)
  return drills.flatMap(({ drill, file, positionOf }) => {
    const { namespace } = drill.metadata
    const { job, service, node } = drill.spec.target ?? {}
    const check = (field: string, name: string | undefined, known: readonly string[]): DocumentError[] => {
      if (name === undefined || known.includes(name)) return []
      const at = ['spec', 'target', field]
      const more = { found: shown(name), suggestion: nearest(name, known) }
      return [{ ...fieldError(at, `names no ${field} of this scenario`, more), file, ...positionOf(at) }]
    }
    const [ofJob] = work.flatMap((one) =>
      one.kind === 'TrainingJob' && one.metadata.name === job && one.metadata.namespace === namespace ? [one] : [],
    )
    const ranks = rankErrors(drill, ofJob)
    return [
      ...check('job', job, namesOf('TrainingJob', namespace)),
      ...check('service', service, namesOf('InferenceService', namespace)),
      ...check('node', node, nodes),
      ...ranks.map((error) => ({ ...error, file, ...positionOf(error.at) })),
    ]
  })
}
