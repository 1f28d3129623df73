/* Lists of words in one string, separated by |, as the tables of settings and options hold them. */
#ifndef MEDIA_WORDS_H
#define MEDIA_WORDS_H

/* Place of word in words, from 0; -1 when it is none of them. */
int words_index(const char *words, const char *word);

#endif
