import type { Scene as Said } from './reasons.ts'
import type { Scene } from './what-if.ts'

/** What explaining needs of a scheduler that has decided. */
export type Explained = Scene & Said
