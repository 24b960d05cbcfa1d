from datetime import datetime
from typing import Annotated, Self

from pydantic import MISSING, Field

from examples.realworld.models import Article, Comment
from examples.realworld.schemas.base import ResponseSchema
from examples.realworld.schemas.user_schemas import Username
from mscr.schemas.base import RequestSchema
from mscr.schemas.list_schemas import OffsetQuery

Title = Annotated[str, Field(min_length=1, max_length=100, examples=["How to train a dragon"])]
Description = Annotated[str, Field(min_length=1, max_length=500, examples=["Ever wonder how?"])]
Body = Annotated[str, Field(min_length=1, max_length=50_000, examples=["You have to believe."])]
TagName = Annotated[str, Field(min_length=1, max_length=50, examples=["dragons"])]
CommentText = Annotated[str, Field(min_length=1, max_length=5000, examples=["Thank you."])]


class ArticleCreate(RequestSchema):
    title: Title
    description: Description
    body: Body
    tag_list: list[TagName] = Field(default=[], max_length=20, alias="tagList")


class CreateArticleRequest(RequestSchema):
    article: ArticleCreate


class ArticleUpdate(RequestSchema):
    title: Title | MISSING = MISSING
    description: Description | MISSING = MISSING
    body: Body | MISSING = MISSING


class UpdateArticleRequest(RequestSchema):
    article: ArticleUpdate


class ArticleQuery(OffsetQuery):
    tag: TagName | None = None
    author: Username | None = None


class Author(ResponseSchema):
    username: str = Field(examples=["ada"])
    bio: str | None = Field(examples=["I count."])
    image: str | None = Field(examples=["https://example.com/ada.png"])
    following: bool = False


class ArticleResponse(ResponseSchema):
    slug: str = Field(examples=["how-to-train-a-dragon-1f0c"])
    title: Title
    description: Description
    body: Body
    tag_list: list[TagName]
    created_at: datetime
    updated_at: datetime
    favorited: bool = False
    favorites_count: int = Field(default=0, examples=[0])
    author: Author

    @classmethod
    def of(cls, article: Article) -> Self:
        return cls(
            slug=article.slug,
            title=article.title,
            description=article.description,
            body=article.body,
            tag_list=[tag.name for tag in article.tags],
            created_at=article.created_at,
            updated_at=article.updated_at,
            author=Author.model_validate(article.owner),
        )


class ArticleEnvelope(ResponseSchema):
    article: ArticleResponse


class ArticlesEnvelope(ResponseSchema):
    articles: list[ArticleResponse]
    articles_count: int = Field(description="Counted up to 10,001.", examples=[1])


class CommentCreate(RequestSchema):
    body: CommentText


class CreateCommentRequest(RequestSchema):
    comment: CommentCreate


class CommentResponse(ResponseSchema):
    id: int = Field(examples=[1])
    body: CommentText
    created_at: datetime
    updated_at: datetime
    author: Author

    @classmethod
    def of(cls, comment: Comment) -> Self:
        return cls(
            id=comment.id,
            body=comment.body,
            created_at=comment.created_at,
            updated_at=comment.updated_at,
            author=Author.model_validate(comment.owner),
        )


class CommentEnvelope(ResponseSchema):
    comment: CommentResponse


class CommentsEnvelope(ResponseSchema):
    comments: list[CommentResponse]
