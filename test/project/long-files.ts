/** Files of more than 300 lines (never more than 400), each with the reason why it is one piece. */
export const LONG_FILES: Readonly<Record<string, string>> = {}
